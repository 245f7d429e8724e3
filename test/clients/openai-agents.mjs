// @openai/agents with an MCP server over Streamable HTTP.
import { Agent, MCPServerStreamableHttp, OpenAIProvider, Runner } from '@openai/agents';
import { headers, main, options } from './cli.mjs';
import { serveModel } from './model.mjs';

/** The server as the agent sees it; remembers the last result, whose isError the model isn't shown. */
class Remembering extends MCPServerStreamableHttp {
  async callToolResult(...call) {
    this.last = await super.callToolResult(...call);
    return this.last;
  }
}

async function connect() {
  const server = new Remembering({ name: 'gate', url: options.url, requestInit: { headers } });
  await server.connect();
  return server;
}

await main({
  list: async () => (await (await connect()).listTools()).map(tool => tool.name),
  call: async (name, args) => {
    const model = await serveModel(name, args);
    const server = await connect();
    const modelProvider = new OpenAIProvider({ baseURL: model.url, apiKey: 'none', useResponses: false });
    const runner = new Runner({ modelProvider, model: 'fake', tracingDisabled: true });
    await runner.run(new Agent({ name: 'tester', mcpServers: [server] }), 'call the tool');
    return { text: model.said(), isError: server.last?.isError };
  },
});
