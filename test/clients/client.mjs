// @modelcontextprotocol/client, the TypeScript SDK's own; --era as in cli.mjs.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { command, headers, main, options, textOf } from './cli.mjs';

const modes = { legacy: 'legacy', auto: 'auto', modern: { pin: '2026-07-28' } };

const opened = [];

async function connect() {
  const client = new Client({ name: 'sallyport-test', version: '1' }, {
    ...options.era && { versionNegotiation: { mode: modes[options.era] } },
    ...options.open && { capabilities: { elicitation: { url: {} } } },
    ...options.fill && { capabilities: { elicitation: { form: {} } } },
  });
  if (options.open) {
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      opened.push(params.url);
      return { action: 'accept' };
    });
  }
  if (options.fill) {
    client.setRequestHandler('elicitation/create', async ({ params }) => {
      opened.push(params.message);
      return { action: 'accept', content: { approve: options.fill === 'yes' } };
    });
  }
  await client.connect(command
    ? new StdioClientTransport({ command: command[0], args: command.slice(1) })
    : new StreamableHTTPClientTransport(new URL(options.url), { requestInit: { headers } }));
  return client;
}

await main({
  list: async () => (await (await connect()).listTools()).tools.map(tool => tool.name),
  call: async (name, args) => {
    const progress = [];
    const waiting = options.progress && { onprogress: ({ message }) => progress.push(message), resetTimeoutOnProgress: true };
    const result = await (await connect()).callTool({ name, arguments: args }, waiting || undefined);
    return { text: textOf(result), isError: result.isError, progress, opened };
  },
});
