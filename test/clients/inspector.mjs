// @modelcontextprotocol/inspector, its command line; --era as in cli.mjs.
import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { command, headers, main, options, textOf } from './cli.mjs';

const manifest = createRequire(import.meta.url).resolve('@modelcontextprotocol/inspector/package.json');
const launcher = join(dirname(manifest), 'clients/launcher/build/index.js');

/** Runs one method; the result is the JSON it prints, a refusal is thrown. */
function inspect(...method) {
  const target = command ?? [options.url, '--transport', 'http'];
  const authorization = Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
  const era = options.era ? ['--protocol-era', options.era] : [];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [launcher, '--cli', ...target, ...authorization, ...era, ...method], (error, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout)); // it exits non-zero for isError results too
      } catch {
        reject(error ?? new Error(stdout + stderr));
      }
    });
  });
}

await main({
  list: async () => (await inspect('--method', 'tools/list')).tools.map(tool => tool.name),
  call: async (name, args) => {
    const pairs = Object.entries(args).map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
    const result = await inspect('--method', 'tools/call', '--tool-name', name, ...(pairs.length ? ['--tool-arg', ...pairs] : []));
    return { text: textOf(result), isError: result.isError };
  },
});
