// What every client driver here has in common: one command line, one answer.
//
//   node CLIENT.mjs TARGET --list
//   node CLIENT.mjs TARGET --call TOOL [--args JSON]
//
// TARGET is --url URL [--token T], or (where the client has it) --stdio JSON
// with an array of command and arguments; --era legacy|auto|modern goes to the
// clients that let one choose. One line of JSON is printed:
//
//   {"tools": [names]}              for --list
//   {"ok", "isError", "text"}       for --call; ok is a result without isError,
//                                   text is what the tool (or the refusal) said
//
// A driver exits non-zero only when it broke itself, not when it was refused.
import { parseArgs } from 'node:util';

export const { values: options } = parseArgs({
  options: {
    url: { type: 'string' },
    token: { type: 'string' },
    stdio: { type: 'string' },
    era: { type: 'string' },
    list: { type: 'boolean' },
    call: { type: 'string' },
    args: { type: 'string', default: '{}' },
  },
});

export const headers = options.token ? { Authorization: `Bearer ${options.token}` } : {};

/** The command of --stdio as [command, ...arguments], or undefined. */
export const command = options.stdio && JSON.parse(options.stdio);

/** The text of all text parts of a tool result. */
export const textOf = result => (result.content ?? []).map(part => part.text ?? '').join('\n');

/** Runs list() or call(tool, args), as asked, and prints what it answers. */
export async function main({ list, call }) {
  let answer;
  if (options.list) {
    answer = { tools: await list() };
  } else {
    try {
      const { text, isError = false } = await call(options.call, JSON.parse(options.args));
      answer = { ok: !isError, isError, text };
    } catch (error) {
      answer = { ok: false, isError: false, text: String(error?.message ?? error) };
    }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`, () => process.exit(0)); // some clients keep the process alive
}
