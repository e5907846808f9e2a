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

    /// <summary>A switcher that is the default, a verifier, and a budget whose streams vote.</summary>
    public const string Solver = """
        {
          "base": "base",
          "context": 1024,
          "adapters": {
            "steps": { "train": "a.jsonl", "budget": { "budgets": [64, 128], "steps": 40 }, "verifier": { "steps": 100 } },
            "sketch": { "train": "b.jsonl" }
          },
          "switcher": { "train": "modes.jsonl", "threshold": 0.5 },
          "default": "auto",
          "budgets": { "short": 96, "vote": { "tokens": 128, "streams": 8 } },
          "answer": { "type": "number", "tolerance": 0.01 },
          "evaluation": { "data": "test.jsonl", "streams": [1, 8], "gates": { "minVerifierAuc": 0.7 } }
        }
        """;

    public const string SolverLock = """
        {
          "formatVersion": 1,
          "inputs": "sha256:0000000000000000000000000000000000000000000000000000000000000000",
          "bundle": "sha256:1111111111111111111111111111111111111111111111111111111111111111",
          "measured": {
            "auto": { "accuracy": 0.955, "meanTokens": 21.5, "examples": 600 },
            "base": { "accuracy": 0.4, "meanTokens": 3, "examples": 600 },
            "steps": { "accuracy": 0.972, "meanTokens": 41.25, "examples": 600 }
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
