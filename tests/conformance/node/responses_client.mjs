// The Responses API with the `openai` package for Node.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { apiKey, baseURL, models, report, weather } from "./report.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const tools = [{ type: "function", strict: true, ...weather }];

function casesFor(model) {
  return {
    async create() {
      const answer = await client.responses.create({ model, input: "count to 4" });
      return { text: answer.output_text, usage: answer.usage, status: answer.status };
    },
    async stream() {
      const seen = [];
      const stream = client.responses.stream({ model, input: "count to 4" });
      stream.on("response.output_text.delta", (event) => seen.push(event.delta));
      const answer = await stream.finalResponse();
      return { deltas: seen, text: answer.output_text };
    },
    async toolLoop() {
      const first = await client.responses.create({ model, input: "weather please", tools });
      const call = first.output.find((item) => item.type === "function_call");
      const second = await client.responses.create({
        model,
        previous_response_id: first.id,
        input: [{ type: "function_call_output", call_id: call.call_id, output: "sunny" }],
        tools,
      });
      return { given: JSON.parse(call.arguments), text: second.output_text };
    },
    async parse() {
      const Lesson = z.object({ title: z.string(), stars: z.number().int() });
      const text = { format: zodTextFormat(Lesson, "lesson") };
      return (await client.responses.parse({ model, input: "teach me", text })).output_parsed;
    },
    async store() {
      const made = await client.responses.create({ model, input: "count to 2" });
      const read = await client.responses.retrieve(made.id);
      const listed = [];
      for await (const item of client.responses.inputItems.list(made.id)) listed.push(item.type);
      await client.responses.delete(made.id);
      const gone = await client.responses.retrieve(made.id).catch((error) => error.status);
      return { text: read.output_text, listed, gone };
    },
  };
}

const cases = {};
for (const [way, model] of Object.entries({ passed: models.chat, translated: "doubao/doubao-seed-1-6-250615" }))
  for (const [name, run] of Object.entries(casesFor(model))) cases[`${way}.${name}`] = run;

await report({
  ...cases,
  async brokenStream() {
    for await (const event of await client.responses.create({
      model: "fault/error-mid-stream-after-4",
      input: "count to 9",
      stream: true,
    }))
      void event;
  },
});
