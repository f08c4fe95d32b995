// Runs named cases one after the other and prints what each saw as one JSON object. A case that throws is told as
// {threw: {...}}, so that pytest decides what was expected.

export const baseURL = process.env.CONFORMANCE_BASE_URL;
export const apiKey = process.env.CONFORMANCE_API_KEY;
export const models = JSON.parse(process.env.CONFORMANCE_MODELS);

export async function report(cases) {
  const seen = {};
  for (const [name, run] of Object.entries(cases)) {
    try {
      seen[name] = await run();
    } catch (error) {
      const { name: type, message, status, statusCode, code, param } = error;
      seen[name] = { threw: { type, message, status: status ?? statusCode, code, param } };
    }
  }
  process.stdout.write(JSON.stringify(seen));
}

export const weather = {
  name: "weather",
  description: "Tells the weather of a city.",
  parameters: {
    type: "object",
    properties: { city: { type: "string" }, days: { type: "integer" } },
    required: ["city", "days"],
    additionalProperties: false,
  },
};
