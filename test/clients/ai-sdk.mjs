// ai with @ai-sdk/mcp.
import { createMCPClient } from '@ai-sdk/mcp';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, isStepCount } from 'ai';
import { headers, main, options, textOf } from './cli.mjs';
import { serveModel } from './model.mjs';

const tools = async () => (await createMCPClient({ transport: { type: 'http', url: options.url, headers } })).tools();

await main({
  list: async () => Object.keys(await tools()),
  call: async (name, args) => {
    const model = await serveModel(name, args);
    const { steps } = await generateText({
      model: createOpenAICompatible({ name: 'fake', baseURL: model.url, apiKey: 'none' })('fake'),
      tools: await tools(), stopWhen: isStepCount(3), prompt: 'call the tool',
    });
    const outcome = steps[0].content.find(part => part.type === 'tool-result' || part.type === 'tool-error');
    if (outcome.type === 'tool-error') throw outcome.error;
    return { text: textOf(outcome.output), isError: outcome.output.isError };
  },
});
