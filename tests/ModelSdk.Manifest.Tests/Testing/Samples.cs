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
          "quantization": { "weights": "int8", "block": 128, "embeddings": "int4", "keyValueCache": "int8", "quality": "best", "calibration": "data/traces.jsonl" },
          "adapters": {
            "arithmetic": {
              "train": "data/train.jsonl",
              "rank": 8, "alpha": 4.5, "dropout": 0.1,
              "targets": ["v_proj", "q_proj"],
              "masked": false,
              "sft": { "steps": 140, "batchSize": 32, "learningRate": 3e-3, "warmup": 0.2, "weightDecay": 0.01, "maxGradNorm": 0.5, "checkpointEverySteps": 10 },
              "budget": {
                "data": "data/questions.jsonl", "steps": 40, "prompts": 16, "samples": 4, "temperature": 1.0, "learningRate": 1e-3, "warmup": 0.1, "maxGradNorm": 2, "weightDecay": 0.01,
                "budgets": [64, 96, 128, 192], "statedShare": 0.7, "margin": 0.5, "floor": 0.1, "length": "think", "kl": 1e-4, "klReference": "base", "clip": 0.3, "clipHigh": 0.28,
                "advantage": "batch", "resample": true, "tighten": 0.5, "truncated": "mask", "maxTokens": 400, "checkpointEverySteps": 3
              },
              "verifier": {
                "data": "data/verify.jsonl", "questions": 100, "samples": 8, "temperature": 1.0, "holdout": 0.1, "prompt": "Right?\n", "lora": true, "confidence": true,
                "steps": 50, "batchSize": 32, "learningRate": 1e-2
              }
            },
            "long form": { "train": "data/long.jsonl", "rank": 64, "sft": { "epochs": 2.5 } },
            "bought": { "import": "adapters/bought" },
          },
          "switcher": {
            "train": "data/modes.jsonl", "hidden": 16, "dropout": 0.1, "noise": 0.25, "chunk": 64, "smoothing": 0.25, "steps": 100, "batchSize": 32, "learningRate": 1e-2, "weightDecay": 0.1,
            "threshold": 0.4
          },
          "default": "auto",
          "budgets": { "short": 96, "8k": { "tokens": 800, "streams": 8 } },
          /* the answer */
          "answer": { "type": "choice", "choices": ["yes", "no"] },
          "grader": { "command": ["python3", "grade.py", ""], "timeoutSeconds": 5 },
          "answerTokens": 4,
          "evaluation": {
            "data": "data/test.jsonl", "maxExamples": 100, "maxTokens": 512, "budget": 128, "temperature": 1.0, "seeds": 5,
            "hardBudgets": [32, 64], "streams": [1, 2, 8], "streamData": "data/hard.jsonl", "streamTemperature": 0.9, "switcherData": "data/mixed.jsonl",
            "gates": { "minAccuracy": 0.9, "maxMeanTokens": 60.5, "minLengthReduction": 2.4, "minWithinBudget": 0.95, "minSwitcherAuc": 0.9, "minVerifierAuc": 0.7 }
          },
          "targets": [ { "rid": "linux-x64", "memoryMB": 500, "diskMB": 100 }, { "rid": "osx-arm64" } ],
          "genai": false
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
        { "base": "b", "quantization": { "bitsPerWeight": 3.5, "block": 64 }, "context": null, "prompt": { "system": null }, "answer": { "type": "number" }, "evaluation": { "data": "e", "maxExamples": null }, "targets": [] }
        """,
        """
        { "base": "b", "context": 600, "adapters": { "a": { "train": "t.jsonl", "budget": { "budgets": [64], "clipHigh": null }, "verifier": { } }, "b": { "train": "u.jsonl" } },
          "switcher": { "train": "s.jsonl" }, "default": "a", "budgets": { "vote": { "tokens": 128, "streams": 8 } }, "answer": { "type": "number", "tolerance": 0.01 },
          "evaluation": { "data": "e", "budget": null, "hardBudgets": [], "streams": [1, 8], "switcherData": "m", "gates": { "minLengthReduction": 2, "minVerifierAuc": 0.7, "minSwitcherAuc": null } } }
        """,
    ];

    public static ModelManifest Parse(string text, string path = "/app/tutor.model.json")
    {
        ManifestResult result = ManifestParser.Parse(text, path);
        Assert.Empty(result.Diagnostics);
        return Assert.IsType<ModelManifest>(result.Manifest);
    }
}
