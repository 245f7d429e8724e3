// What every client driver here has in common: one command line, one answer.
//
//   node CLIENT.mjs TARGET [--list] [--call TOOL [--args JSON]]... [--progress] [--open] [--fill yes|no]
//
// TARGET is --url URL [--token T], or (where the client has it) --stdio JSON
// with an array of command and arguments; --era legacy|auto|modern goes to the
// clients that let one choose. --progress asks for progress and waits as long as
// some comes; --open has the user open every page (elicitation in mode url), --fill
// fill in every form. They are for client.mjs alone. One line of JSON is printed for each:
//
//   {"tools": [names]}              for --list
//   {"ok", "isError", "text"}       for --call; ok is a result without isError,
//                                   text is what the tool (or the refusal) said;
//                                   progress and opened (pages, or the
//                                   texts of forms) are what came before
//
// A driver exits non-zero only when it broke itself, not when it was refused.
import { Console } from 'node:console';
import { parseArgs } from 'node:util';

globalThis.console = new Console(process.stderr); // what libraries say is no answer

export const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    token: { type: 'string' },
    stdio: { type: 'string' },
    era: { type: 'string' },
    list: { type: 'boolean' },
    progress: { type: 'boolean' },
    open: { type: 'boolean' },
    fill: { type: 'string' },
    call: { type: 'string', multiple: true, default: [] },
    args: { type: 'string', multiple: true, default: [] },
  },
});

export const headers = options.token ? { Authorization: `Bearer ${options.token}` } : {};

/** The command of --stdio as [command, ...arguments], or undefined. */
export const command = options.stdio && JSON.parse(options.stdio);

/** The text of all text parts of a tool result. */
export const textOf = result => (result.content ?? []).map(part => part.text ?? '').join('\n');

/** Runs list() and call(tool, args) as asked, and prints what they answer. */
export async function main({ list, call }) {
  const answers = options.list ? [{ tools: await list() }] : [];
  for (const [i, tool] of options.call.entries()) {
    try {
      const { text, isError = false, ...before } = await call(tool, JSON.parse(options.args[i] ?? '{}'));
      answers.push({ ok: !isError, isError, text, ...before });
    } catch (error) {
      answers.push({ ok: false, isError: false, text: String(error?.message ?? error) });
    }
  }
  const lines = answers.map(answer => `${JSON.stringify(answer)}\n`).join('');
  process.stdout.write(lines, () => process.exit(0)); // some clients keep the process alive
}
