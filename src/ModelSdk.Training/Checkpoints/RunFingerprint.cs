using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Adapters;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Training;

/// <summary>Digest of all that decides the weights a run gives.</summary>
internal sealed class RunFingerprint : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    /// <summary>Shape, settings, seed and tokens of fine-tuning.</summary>
    public static string Of(TransformerConfig config, SftDataset data, SftOptions options, ComputeOptions compute)
    {
        using var all = new RunFingerprint();
        all.Add(config, options.Adapter);
        all.Add($"{options.Adapter.Sft with { CheckpointEverySteps = 0 }}|{options.Seed}|{compute.Type}|{options.MicroBatchTokens}|{options.PromptCacheBytes}");
        all.Add(compute);
        all.Add(data.GenerationPrompt);
        foreach (var example in data.Examples)
        {
            all.Add(example.Prompt);
            all.Add(example.Response);
        }

        return all.Digest();
    }

    /// <summary>Shape, settings, seed, first weights and questions of budget forcing.</summary>
    public static string Of(TransformerConfig config, GrpoDataset data, GrpoOptions options, BudgetForcingSettings settings, LoraAdapter start, ComputeOptions compute)
    {
        using var all = new RunFingerprint();
        all.Add(config, options.Adapter);
        all.Add($"{settings with { CheckpointEverySteps = 0, Budgets = default, Data = null }}|{string.Join(',', settings.Budgets)}|{options.Seed}|{compute.Type}|{options.MicroBatchTokens}");
        all.Add(compute);
        all.Add(data.GenerationPrompt);
        foreach (var question in data.Questions)
        {
            all.Add(data.Render(question, null));
            all.Add($"{question.Expected}");
        }

        foreach (var (name, linear) in start.Linears.OrderBy(l => l.Key, StringComparer.Ordinal))
        {
            all.Add($"{name}");
            all._hash.AppendData(System.Runtime.InteropServices.MemoryMarshal.AsBytes(linear.A.AsSpan()));
            all._hash.AppendData(System.Runtime.InteropServices.MemoryMarshal.AsBytes(linear.B.AsSpan()));
        }

        return all.Digest();
    }

    public void Dispose() => _hash.Dispose();

    private void Add(FormattableString text) => _hash.AppendData(Encoding.UTF8.GetBytes(text.ToString(CultureInfo.InvariantCulture) + "\n"));

    private void Add(IEnumerable<int> tokens) => Add($"{string.Join(' ', tokens)}");

    private void Add(TransformerConfig config, AdapterSettings adapter) =>
        Add($"{config}|{adapter.Rank}|{adapter.Alpha:R}|{adapter.Dropout:R}|{string.Join(',', adapter.Targets)}|{adapter.Masked}");

    private void Add(ComputeOptions compute)
    {
        if (compute.Cache is { } cache)
        {
            Add($"{cache.Format}|{string.Join(' ', cache.Layers.SelectMany(l => l.Keys.Concat(l.Values)).Select(s => s.ToString("R", CultureInfo.InvariantCulture)))}");
        }
    }

    private string Digest() => Convert.ToHexStringLower(_hash.GetHashAndReset());
}
