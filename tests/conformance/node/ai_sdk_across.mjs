// The Vercel AI SDK with its provider for OpenAI-compatible services, before a model of another format.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { apiKey, baseURL, models, report, weather } from "./report.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const provider = createOpenAICompatible({
  name: "hub",
  baseURL,
  apiKey,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const model = provider(models.chat);
const tools = {
  weather: tool({
    description: weather.description,
    inputSchema: jsonSchema(weather.parameters),
    execute: ({ city }) => `sunny in ${city}`,
  }),
};

await report({
  async stream() {
    const result = streamText({ model, prompt: "count to 5", maxRetries: 0 });
    const text = await result.text;
    const { inputTokens, outputTokens } = await result.usage;
    return { text, usage: { inputTokens, outputTokens } };
  },
  async tools() {
    const result = streamText({ model, prompt: "the weather", tools, stopWhen: stepCountIs(2), maxRetries: 0 });
    const steps = await result.steps;
    return {
      calls: steps[0].toolCalls.map((call) => [call.toolName, call.input]),
      text: steps[1].text,
    };
  },
  async object() {
    const { output } = await generateText({
      model,
      prompt: "a joke",
      output: Output.object({ schema: z.object({ setup: z.string(), stars: z.number().int() }) }),
      maxRetries: 0,
    });
    return output;
  },
});
