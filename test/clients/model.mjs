// A model that calls one tool once, over the chat completions API: enough for
// an agent framework to run its whole loop without a network.
import { createServer } from 'node:http';

/** Serves the model; url is its base URL, said() the tool output it was shown. */
export async function serveModel(tool, args) {
  let said = '';
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const last = JSON.parse(Buffer.concat(chunks)).messages.at(-1);
    const answered = last.role === 'tool';
    if (answered) said = typeof last.content === 'string' ? last.content : last.content.map(part => part.text ?? '').join('\n');
    const message = answered ? { role: 'assistant', content: 'done' } : {
      role: 'assistant', content: null,
      tool_calls: [{ id: 'call_1', type: 'function', function: { name: tool, arguments: JSON.stringify(args) } }],
    };
    response.setHeader('content-type', 'application/json').end(JSON.stringify({
      id: 'chat_1', object: 'chat.completion', created: 0, model: 'fake',
      choices: [{ index: 0, message, finish_reason: answered ? 'stop' : 'tool_calls' }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    }));
  });
  await new Promise(listening => { server.listen(0, '127.0.0.1', listening); });
  return { url: `http://127.0.0.1:${server.address().port}/v1`, said: () => said };
}
