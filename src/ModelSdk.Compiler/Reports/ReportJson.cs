using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Commands;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Stages;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Compiler.Reports;

/// <summary>report.json: what was made, how long it took, and what was measured.</summary>
internal static class ReportJson
{
    public const string FileName = "report.json";

    public static byte[] Bytes(JsonObject report) => System.Text.Encoding.UTF8.GetBytes(JsonOutput.Text(report) + "\n");

    /// <summary>Builds the report of one compile.</summary>
    public static JsonObject Create(
        CompileInputs inputs,
        CompilePlan plan,
        BundleManifest bundle,
        IReadOnlyList<StageReport> stages,
        StageEntries entries,
        IReadOnlyList<GateResult> gates)
    {
        EvaluationResults? results = entries.Evaluated is null ? null : EvaluationResults.Read(entries.Evaluated.File(EvaluationResults.FileName));
        JsonObject report = new()
        {
            ["formatVersion"] = 1,
            ["name"] = bundle.Name,
            ["digest"] = bundle.Digest,
            ["inputs"] = plan.InputsDigest,
            ["compiler"] = bundle.Compiler,
            ["machine"] = new JsonObject
            {
                ["rid"] = RuntimeInformation.RuntimeIdentifier,
                ["os"] = RuntimeInformation.OSDescription,
                ["processors"] = Environment.ProcessorCount,
            },
            ["stages"] = Stages(stages),
            ["baseline"] = new JsonObject
            {
                ["seed"] = inputs.Manifest.Seed,
                ["evaluationExamples"] = results?.Examples ?? 0,
                ["trainingExamples"] = TrainingJson.Examples(inputs, entries),
            },
            ["model"] = new JsonObject
            {
                ["type"] = bundle.Architecture.Type,
                ["parameters"] = ParameterCount(bundle.Architecture),
                ["layers"] = bundle.Architecture.Layers,
                ["context"] = bundle.Context,
                ["weights"] = bundle.Quantization.Weights == "none" ? "fp32" : bundle.Quantization.Weights,
                ["keyValueCache"] = bundle.Quantization.KeyValueCache ?? "fp32",
                ["cacheBytesPerToken"] = bundle.CacheBytesPerToken,
            },
            ["training"] = TrainingJson.Adapters(inputs, entries),
            ["parity"] = JsonNode.Parse(File.ReadAllBytes(entries.Exported.File(ExportStage.ParityFile))),
            ["sizes"] = Sizes(bundle),
            ["gates"] = Gates(gates),
        };
        if (entries.Switcher is not null)
        {
            report["switcherTraining"] = TrainingJson.Head(entries.Switcher);
        }

        if (results is not null)
        {
            MeasuredJson.Add(report, bundle, results);
            report["quantization"] = new JsonArray(new JsonObject
            {
                ["config"] = bundle.Quantization.Weights == "none"
                    ? "none"
                    : $"{bundle.Quantization.Weights} block {bundle.Quantization.Block}, {bundle.Quantization.Quality}, embeddings {bundle.Quantization.Embeddings}, keys and values {bundle.Quantization.KeyValueCache ?? "fp32"}",
                ["accuracy"] = report["evaluation"]!["deployed"]!["accuracy"].Number(),
                ["bits"] = Math.Round(bundle.Files[bundle.Weights.File].Bytes * 8.0 / ParameterCount(bundle.Architecture), 2),
                ["linearBits"] = bundle.Quantization.BitsPerWeight,
            });
        }

        return report;
    }

    /// <summary>The stages as report.json and <c>compile --json</c> list them.</summary>
    public static JsonArray Stages(IReadOnlyList<StageReport> stages)
    {
        JsonArray list = [];
        foreach (StageReport stage in stages)
        {
            JsonObject item = new() { ["name"] = stage.Name };
            if (stage.Adapter is not null)
            {
                item["adapter"] = stage.Adapter;
            }

            item["seconds"] = stage.Seconds;
            item["cached"] = stage.Cached;
            item["peakRssMb"] = stage.PeakRssMb;
            item["key"] = stage.Key;
            list.Add(item);
        }

        return list;
    }

    /// <summary>The gates as report.json and <c>compile --json</c> list them.</summary>
    public static JsonArray Gates(IReadOnlyList<GateResult> gates) =>
    [
        .. gates.Select(g => new JsonObject { ["name"] = g.Name, ["threshold"] = g.Threshold, ["measured"] = g.Measured, ["passed"] = g.Passed }),
    ];

    /// <summary>One mode's figures under the names that tools rely on, with the interval.</summary>
    public static JsonObject Mode(ModeResult mode)
    {
        JsonObject result = new()
        {
            ["accuracy"] = mode.Accuracy,
            ["meanTokens"] = mode.MeanTokens,
            ["medianTokens"] = mode.MedianTokens,
            ["examples"] = mode.Examples,
            ["interval95"] = new JsonArray(mode.Low, mode.High),
            ["unfinished"] = mode.Unfinished,
        };
        if (mode.WithinBudget is double within)
        {
            result["withinBudget"] = within;
        }

        return result;
    }

    private static JsonObject Sizes(BundleManifest bundle)
    {
        JsonObject adapters = [];
        foreach (BundleAdapter adapter in bundle.Adapters)
        {
            adapters[adapter.Name] = bundle.Files[adapter.Weights].Bytes + bundle.Files[adapter.Graph].Bytes;
        }

        return new JsonObject
        {
            ["bundleBytes"] = bundle.Files.Values.Sum(f => f.Bytes),
            ["weightBytes"] = bundle.Files[bundle.Weights.File].Bytes,
            ["adapterBytes"] = adapters,
        };
    }

    // Weights of the base, tied ones once.
    private static long ParameterCount(TransformerConfig c)
    {
        long attention = ((long)c.HiddenSize * (c.QuerySize + (2L * c.KeyValueSize))) + c.QuerySize + (2L * c.KeyValueSize) + ((long)c.QuerySize * c.HiddenSize);
        long block = attention + (3L * c.HiddenSize * c.IntermediateSize) + (2L * c.HiddenSize);
        return (c.Layers * block) + c.HiddenSize + ((c.TiedEmbeddings ? 1L : 2L) * c.VocabularySize * c.HiddenSize);
    }
}
