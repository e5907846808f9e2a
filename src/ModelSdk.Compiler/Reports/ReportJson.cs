using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using ModelSdk.Compiler.Commands;
using ModelSdk.Compiler.Evaluation;
using ModelSdk.Compiler.Stages;
using ModelSdk.Compiler.Store;
using ModelSdk.Manifest;
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
        JsonObject training = [];
        JsonObject trainingExamples = [];
        foreach ((AdapterSettings adapter, StoreEntry entry) in inputs.Manifest.Adapters.Zip(entries.Sft))
        {
            TrainingSummary summary = TrainingSummary.Read(entry.File(TrainingSummary.FileName));
            trainingExamples[adapter.Name] = summary.Examples;
            training[adapter.Name] = new JsonObject
            {
                ["masked"] = adapter.Masked,
                ["rank"] = adapter.Rank,
                ["sft"] = new JsonObject
                {
                    ["steps"] = summary.Steps,
                    ["examples"] = summary.Examples,
                    ["loss"] = new JsonArray([.. summary.Loss.Select(l => (JsonNode)Math.Round(l, 5))]),
                },
            };
        }

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
                ["trainingExamples"] = trainingExamples,
            },
            ["training"] = training,
            ["parity"] = JsonNode.Parse(File.ReadAllBytes(entries.Exported.File(ExportStage.ParityFile))),
            ["sizes"] = Sizes(bundle),
            ["gates"] = Gates(gates),
        };
        if (results is not null)
        {
            AddEvaluation(report, bundle, results);
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
    public static JsonObject Mode(ModeResult mode) => new()
    {
        ["accuracy"] = mode.Accuracy,
        ["meanTokens"] = mode.MeanTokens,
        ["medianTokens"] = mode.MedianTokens,
        ["examples"] = mode.Examples,
        ["interval95"] = new JsonArray(mode.Low, mode.High),
        ["unfinished"] = mode.Unfinished,
    };

    private static void AddEvaluation(JsonObject report, BundleManifest bundle, EvaluationResults results)
    {
        JsonObject adapters = [];
        foreach ((string name, AdapterResult adapter) in results.Adapters)
        {
            adapters[name] = new JsonObject
            {
                ["sft"] = Mode(adapter.Sft),
                ["budget"] = adapter.Budget is null ? null : Mode(adapter.Budget),
                ["deployed"] = Mode(adapter.Deployed),
                ["torch"] = Mode(adapter.Torch),
                ["sameAnswers"] = adapter.SameAnswers,
            };
        }

        // The mode that answers by default; when that is the base, the first adapter where there is one.
        string mode = bundle.DefaultMode != BundleManifest.BaseMode ? bundle.DefaultMode
            : bundle.Adapters.Count > 0 ? bundle.Adapters[0].Name
            : BundleManifest.BaseMode;
        ModeResult deployed = results.Adapters.TryGetValue(mode, out AdapterResult? measured) ? measured.Deployed : results.Base;
        report["evaluation"] = new JsonObject
        {
            ["base"] = Mode(results.Base),
            ["adapters"] = adapters,
            ["deployed"] = Mode(deployed),
            ["deployedMode"] = mode,
            ["maxTokens"] = results.MaxTokens,
            ["decoding"] = "greedy, no budget stated",
        };
        report["quantization"] = new JsonArray(new JsonObject
        {
            ["config"] = bundle.Quantization.Weights == "none"
                ? "none"
                : $"{bundle.Quantization.Weights} block {bundle.Quantization.Block}, embeddings {bundle.Quantization.Embeddings}",
            ["accuracy"] = deployed.Accuracy,
            ["bits"] = Math.Round(bundle.Files[bundle.Weights.File].Bytes * 8.0 / ParameterCount(bundle.Architecture), 2),
        });
        JsonArray traces = [];
        foreach (ExampleTrace trace in results.Traces)
        {
            JsonObject answers = [];
            foreach ((string name, ScoredAnswer answer) in trace.Answers)
            {
                answers[name] = new JsonObject
                {
                    ["text"] = answer.Text,
                    ["reasoning"] = answer.Reasoning,
                    ["tokens"] = answer.Tokens,
                    ["right"] = answer.Right,
                };
            }

            traces.Add(new JsonObject { ["question"] = trace.Question, ["expected"] = trace.Expected, ["answers"] = answers });
        }

        report["examples"] = traces;
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
