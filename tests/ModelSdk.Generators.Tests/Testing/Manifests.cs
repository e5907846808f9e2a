namespace ModelSdk.Generators.Tests.Testing;

/// <summary>The manifests of the snapshots.</summary>
internal static class Manifests
{
    public const string Tutor = """
        {
          "base": "base",
          "context": 512,
          "adapters": { "arithmetic": { "train": "data/train.jsonl" } },
          "budgets": { "short": 96, "long": { "tokens": 256 } },
          "answer": "integer",
          "evaluation": { "data": "data/test.jsonl" }
        }
        """;

    public const string TutorLock = """
        {
          "formatVersion": 1,
          "inputs": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
          "bundle": "sha256:1111111111111111111111111111111111111111111111111111111111111111",
          "measured": {
            "arithmetic": { "accuracy": 0.972, "meanTokens": 104.25, "examples": 500 },
            "base": { "accuracy": 0.11, "meanTokens": 3, "examples": 500 }
          }
        }
        """;

    public const string Minimal = """{ "base": "base" }""";

    public const string Judge = """
        {
          "name": "claim-judge",
          "base": "base",
          "adapters": {
            "quick look": { "train": "a.jsonl" },
            "deep-dive": { "train": "b.jsonl" }
          },
          "default": "deep-dive",
          "budgets": { "8k": 2048 },
          "answer": { "type": "choice", "choices": ["yes", "no", "can't \"tell\" <yet>"] }
        }
        """;
}
