// `@aigne/aigne-hub` with the framework around it. The client takes the origin of the base URL and finds the rest.
import { AIGNEHubChatModel, AIGNEHubImageModel } from "@aigne/aigne-hub";
import { AIAgent, AIGNE, FunctionAgent } from "@aigne/core";
import { z } from "zod";
import { apiKey, baseURL, models, report, weather } from "../node/report.mjs";

process.env.AIGNE_HUB_API_URL = baseURL;

const chat = (model = models.chat, key = apiKey) =>
  new AIGNEHubChatModel({ baseURL, apiKey: key, model: `aignehub/${model}` });
const say = (content) => [{ role: "user", content }];
const tools = [{ type: "function", function: { ...weather, name: "get-weather" } }];

async function streamed(model, input) {
  const chunks = [];
  for await (const chunk of await model.invoke(input, { streaming: true })) chunks.push(chunk);
  return {
    text: chunks.map((chunk) => chunk.delta?.text?.text ?? "").join(""),
    thoughts: chunks.map((chunk) => chunk.delta?.text?.thoughts ?? "").join(""),
    pieces: chunks.length,
    last: chunks.at(-1)?.delta?.json,
  };
}

await report({
  chat: () => chat().invoke({ messages: say("good morning"), modelOptions: { maxTokens: 50, temperature: 0.5 } }),
  stream: () => streamed(chat(), { messages: say("count to 20") }),
  thoughts: () => streamed(chat(models.reasoning), { messages: say("count to 3") }),
  tools: () => chat().invoke({ messages: say("get_weather and get_weather"), tools }),
  streamedTools: () => streamed(chat(), { messages: say("get_weather and get_weather"), tools }),
  async toolRound() {
    const first = await chat().invoke({ messages: say("get_weather please"), tools });
    const results = first.toolCalls.map((call) => ({ role: "tool", toolCallId: call.id, content: "sunny" }));
    const messages = [...say("get_weather please"), { role: "agent", toolCalls: first.toolCalls }, ...results];
    return chat().invoke({ messages, tools });
  },
  chosenTool: () =>
    chat().invoke({ messages: say("hello"), tools, toolChoice: { type: "function", function: tools[0].function } }),
  json: () =>
    chat().invoke({
      messages: say("teach me"),
      responseFormat: {
        type: "json_schema",
        jsonSchema: {
          name: "lesson",
          schema: { type: "object", properties: { stars: { type: "integer" } }, required: ["stars"] },
          strict: true,
        },
      },
    }),
  picture: () =>
    chat().invoke({
      messages: say([
        { type: "text", text: "look" },
        { type: "file", data: "iVBORw0KGgo=", mimeType: "image/png" },
      ]),
    }),
  async agent() {
    const aigne = new AIGNE({ model: chat() });
    const said = await aigne.invoke(AIAgent.from({ inputKey: "message" }), { message: "good morning" });
    const shaped = await aigne.invoke(
      AIAgent.from({ inputKey: "message", outputSchema: z.object({ title: z.string(), stars: z.number().int() }) }),
      { message: "teach me" },
    );
    return { said, shaped };
  },
  async agentWithTool() {
    const asked = [];
    const tool = FunctionAgent.from({
      name: "weather",
      description: weather.description,
      inputSchema: z.object({ city: z.string(), days: z.number().int() }),
      process: (input) => (asked.push({ city: input.city, days: input.days }), { sky: "sunny" }),
    });
    const agent = AIAgent.from({ inputKey: "message", skills: [tool] });
    return { answer: await new AIGNE({ model: chat() }).invoke(agent, { message: "weather please" }), asked };
  },
  async image() {
    const model = new AIGNEHubImageModel({ baseURL, apiKey, model: `aignehub/${models.image}` });
    return model.invoke({ prompt: "a blue door", n: 2, size: "1024x1024" });
  },
  async models() {
    const listed = await AIGNEHubChatModel.models();
    return listed.map((model) => `${model.provider}/${model.model}`);
  },
  unknownModel: () => chat("openai/gpt-4o-mni").invoke({ messages: say("x") }),
  wrongKey: () => chat(models.chat, "hk-wrong").invoke({ messages: say("x") }),
  wrongKeyStreamed: () => streamed(chat(models.chat, "hk-wrong"), { messages: say("x") }),
  brokenStream: () => streamed(chat("fault/cut-after-4"), { messages: say("count to 20") }),
  providerDown: () => chat("fault/500").invoke({ messages: say("x") }),
});
process.exit(0);
