namespace ModelSdk.Manifest.Tests.Testing;

/// <summary>Manifests that are right.</summary>
internal static class Samples
{
    public const string Minimal = """{ "base": "base" }""";

    /// <summary>Every property, none at its default.</summary>
    public const string Full = """
        {
          "$schema": "../model.schema.json",
          "name": "math-tutor",
          "base": { "hub": "Qwen/Qwen2.5-0.5B-Instruct", "revision": "7AE557604ADF67BE50417F59C2C2F167DEF9A775" },
          "context": 1024, // tokens
          "seed": 7,
          "prompt": {
            "system": "You solve problems.",
            "budget": "({budget} tokens)",
            "thinkOpen": "<r>",
            "thinkClose": "</r>",
            "forceAnswer": "…</r>\nSo: "
          },
          "quantization": { "weights": "int8", "block": 128, "embeddings": "int4" },
          "adapters": {
            "arithmetic": {
              "train": "data/train.jsonl",
              "rank": 8, "alpha": 4.5, "dropout": 0.1,
              "targets": ["v_proj", "q_proj"],
              "masked": false,
              "sft": { "steps": 140, "batchSize": 32, "learningRate": 3e-3, "warmup": 0.2, "weightDecay": 0.01, "maxGradNorm": 0.5, "checkpointEverySteps": 10 }
            },
            "long form": { "train": "data/long.jsonl", "rank": 64, "sft": { "epochs": 2.5 } },
          },
          "default": "long form",
          "budgets": { "short": 96, "8k": { "tokens": 800 } },
          /* the answer */
          "answer": { "type": "choice", "choices": ["yes", "no"] },
          "answerTokens": 4,
          "evaluation": { "data": "data/test.jsonl", "maxExamples": 100, "maxTokens": 512 },
          "targets": [ { "rid": "linux-x64", "memoryMB": 500, "diskMB": 100 }, { "rid": "osx-arm64" } ]
        }
        """;

    public static IReadOnlyList<string> All { get; } =
    [
        Minimal,
        Full,
        """
        { "base": "b", "adapters": { "a": { "train": "t.jsonl" } }, "budgets": { "s": 1 }, "answer": "integer", "evaluation": { "data": "e.jsonl" } }
        """,
        """
        { "base": "b", "context": null, "prompt": { "system": null }, "answer": { "type": "number" }, "evaluation": { "data": "e", "maxExamples": null }, "targets": [] }
        """,
    ];

    public static ModelManifest Parse(string text, string path = "/app/tutor.model.json")
    {
        ManifestResult result = ManifestParser.Parse(text, path);
        Assert.Empty(result.Diagnostics);
        return Assert.IsType<ModelManifest>(result.Manifest);
    }
}
