// The `openai` package for Node.
import OpenAI, { toFile } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { apiKey, baseURL, models, report, weather } from "./report.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const say = (content) => [{ role: "user", content }];
const tools = [{ type: "function", function: weather }];

async function collected(options) {
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({ model: models.chat, stream: true, ...options }))
    chunks.push(chunk);
  return {
    text: chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join(""),
    usages: chunks.map((chunk) => chunk.usage).filter(Boolean),
    withoutChoices: chunks.filter((chunk) => chunk.choices.length === 0).length,
    finish: chunks.map((chunk) => chunk.choices[0]?.finish_reason).filter(Boolean),
  };
}

await report({
  async chat() {
    const { data, response } = await client.chat.completions
      .create({ model: models.chat, messages: say("good morning"), n: 2, logprobs: true, top_logprobs: 1 })
      .withResponse();
    return {
      texts: data.choices.map((choice) => choice.message.content),
      tokens: data.choices[0].logprobs.content.map((token) => token.token),
      usage: data.usage,
      type: response.headers.get("content-type"),
    };
  },
  stream: () => collected({ messages: say("count to 20") }),
  streamWithUsage: () => collected({ messages: say("count to 20"), stream_options: { include_usage: true } }),
  async streamHelper() {
    const stream = client.chat.completions.stream({ model: models.chat, messages: say("weather and weather"), tools });
    const message = await stream.finalMessage();
    return message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
  },
  async runTools() {
    const called = [];
    const runner = client.chat.completions.runTools({
      model: models.chat,
      messages: say("weather please"),
      tools: [
        {
          type: "function",
          function: { ...weather, parse: JSON.parse, function: (given) => (called.push(given), `sunny in ${given.city}`) },
        },
      ],
    });
    return { answer: await runner.finalContent(), called };
  },
  async parse() {
    const Lesson = z.object({ title: z.string(), stars: z.number().int() });
    const answer = await client.chat.completions.parse({
      model: models.chat,
      messages: say("teach me"),
      response_format: zodResponseFormat(Lesson, "lesson"),
    });
    return answer.choices[0].message.parsed;
  },
  async embeddings() {
    const base = { model: models.embedding, input: ["one", "two"], dimensions: 16 };
    const packed = await client.embeddings.create(base);
    const plain = await client.embeddings.create({ ...base, encoding_format: "float" });
    const gap = Math.max(...packed.data[1].embedding.map((x, at) => Math.abs(x - plain.data[1].embedding[at])));
    return { lengths: packed.data.map((row) => row.embedding.length), gap, usage: packed.usage };
  },
  async image() {
    const made = await client.images.generate({ model: models.image, prompt: "a blue door" });
    return Buffer.from(made.data[0].b64_json, "base64").subarray(1, 4).toString();
  },
  async speech() {
    const spoken = await client.audio.speech.create({ model: models.speech, voice: "alloy", input: "hello" });
    return (await spoken.arrayBuffer()).byteLength;
  },
  async transcription() {
    const file = await toFile(Buffer.alloc(100, 7), "note.wav", { type: "audio/wav" });
    return client.audio.transcriptions.create({ model: models.transcription, file });
  },
  async models() {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    return { names, one: (await client.models.retrieve(models.chat)).id };
  },
  unknownModel: () => client.chat.completions.create({ model: "openai/gpt-4o-mni", messages: say("x") }),
  wrongKey: () =>
    new OpenAI({ baseURL, apiKey: "hk-wrong", maxRetries: 0 }).chat.completions.create({
      model: models.chat,
      messages: say("x"),
    }),
  async abort() {
    const stream = await client.chat.completions.create({ model: models.slow, messages: say("count to 500"), stream: true });
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 5) stream.controller.abort();
    return chunks;
  },
});
