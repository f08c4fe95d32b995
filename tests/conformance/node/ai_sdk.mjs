// The Vercel AI SDK with its provider for OpenAI-compatible services.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateImage, generateText, jsonSchema, Output, stepCountIs, streamText, tool } from "ai";
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
const silent = createOpenAICompatible({ name: "hub", baseURL, apiKey });
const model = provider(models.chat);
const tools = {
  weather: tool({
    description: weather.description,
    inputSchema: jsonSchema(weather.parameters),
    execute: ({ city }) => `sunny in ${city}`,
  }),
};
const counts = ({ inputTokens, outputTokens }) => ({ inputTokens, outputTokens });

await report({
  async text() {
    const { text, finishReason, usage } = await generateText({ model, prompt: "good morning", maxRetries: 0 });
    return { text, finishReason, usage: counts(usage) };
  },
  async stream() {
    const result = streamText({ model, prompt: "count to 20", maxRetries: 0 });
    const pieces = [];
    for await (const piece of result.textStream) pieces.push(piece);
    return { text: pieces.join(""), pieces: pieces.length, usage: counts(await result.usage), finishReason: await result.finishReason };
  },
  async streamWithoutUsage() {
    const result = streamText({ model: silent(models.chat), prompt: "count to 20", maxRetries: 0 });
    return { text: await result.text, usage: counts(await result.usage) };
  },
  async tools() {
    const result = streamText({ model, prompt: "weather and weather", tools, stopWhen: stepCountIs(2), maxRetries: 0 });
    const steps = await result.steps;
    return {
      calls: steps[0].toolCalls.map((call) => [call.toolName, call.input]),
      text: steps[1].text,
    };
  },
  async object() {
    const { output } = await generateText({
      model,
      prompt: "teach me",
      output: Output.object({ schema: z.object({ title: z.string(), stars: z.number().int() }) }),
      maxRetries: 0,
    });
    return output;
  },
  async picture() {
    const image = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1, 2, 3]);
    const { text } = await generateText({
      model,
      messages: [{ role: "user", content: [{ type: "text", text: "look" }, { type: "image", image, mediaType: "image/png" }] }],
      maxRetries: 0,
    });
    return text;
  },
  async embeddings() {
    const { embeddings, usage } = await embedMany({
      model: provider.embeddingModel(models.embedding),
      values: ["one", "two"],
      maxRetries: 0,
    });
    return { lengths: embeddings.map((vector) => vector.length), usage };
  },
  async image() {
    const { image } = await generateImage({ model: provider.imageModel(models.image), prompt: "a door", maxRetries: 0 });
    return { mediaType: image.mediaType, bytes: image.uint8Array.length };
  },
  async reasoning() {
    const result = streamText({ model: provider(models.reasoning), prompt: "count to 3", maxRetries: 0 });
    return { text: await result.text, reasoning: await result.reasoningText };
  },
  async unknownModel() {
    await generateText({ model: provider("openai/gpt-4o-mni"), prompt: "x", maxRetries: 0 });
  },
  async wrongKey() {
    const stranger = createOpenAICompatible({ name: "hub", baseURL, apiKey: "hk-wrong" });
    await generateText({ model: stranger(models.chat), prompt: "x", maxRetries: 0 });
  },
});
