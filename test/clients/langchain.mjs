// @langchain/mcp-adapters in a LangGraph agent.
import { MultiServerMCPClient } from '@langchain/mcp-adapters';
import { createReactAgent } from '@langchain/langgraph/prebuilt';
import { ChatOpenAI } from '@langchain/openai';
import { headers, main, options } from './cli.mjs';
import { serveModel } from './model.mjs';

const tools = () => new MultiServerMCPClient({
  mcpServers: { gate: { transport: 'http', url: options.url, headers, automaticSSEFallback: false } },
}).getTools();

await main({
  list: async () => (await tools()).map(tool => tool.name),
  call: async (name, args) => {
    const model = await serveModel(name, args);
    const llm = new ChatOpenAI({ model: 'fake', apiKey: 'none', configuration: { baseURL: model.url }, maxRetries: 0 });
    const agent = createReactAgent({ llm, tools: await tools() });
    const { messages } = await agent.invoke({ messages: [{ role: 'user', content: 'call the tool' }] });
    const answer = messages.findLast(message => message.getType() === 'tool');
    return { text: model.said(), isError: answer.status === 'error' };
  },
});
