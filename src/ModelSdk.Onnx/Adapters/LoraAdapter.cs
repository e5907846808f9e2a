namespace ModelSdk.Onnx.Adapters;

/// <summary>
/// A LoRA adapter in full precision, as trained. It is active from the generation prompt on (masked LoRA; paper,
/// section 2), which PEFT calls an activated LoRA: <see cref="InvocationTokens"/> say where.
/// </summary>
public sealed record LoraAdapter
{
    /// <summary>Rank r of every linear.</summary>
    public required int Rank { get; init; }

    /// <summary>Alpha; the update is scaled by alpha / r.</summary>
    public required double Alpha { get; init; }

    /// <summary>Share of A's inputs that were dropped while training; information only. Default 0.</summary>
    public double Dropout { get; init; }

    /// <summary>Tokens of the generation prompt, from which the adapter is active; empty: active on every token.</summary>
    public IReadOnlyList<int> InvocationTokens { get; init; } = [];

    /// <summary>Name or path of the base that the adapter was trained on; information only.</summary>
    public string? BaseModel { get; init; }

    /// <summary>Digest of the weights of that base as <see cref="AdapterFit.DigestOf"/> gives it; null where the files do not state it.</summary>
    public string? BaseDigest { get; init; }

    /// <summary>The linears that the adapter changes, by module name; a linear that is not here is left as it is.</summary>
    public required IReadOnlyDictionary<string, LoraLinear> Linears { get; init; }

    /// <summary>alpha / r.</summary>
    public double Scale => Alpha / Rank;

    /// <summary>Short names of the changed linears ("q_proj", ...), sorted.</summary>
    public IReadOnlyList<string> Targets => [.. Linears.Values.Select(l => l.Target).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>Writes adapter_config.json and adapter_model.safetensors (float32) in PEFT's layout. The same adapter gives the same bytes.</summary>
    /// <param name="folder">Created when missing.</param>
    public void Save(string folder) => PeftAdapterFiles.Save(this, folder);

    /// <summary>Reads an adapter in PEFT's layout. Ranks and scales that differ between linears are made equal without changing what the adapter computes.</summary>
    /// <param name="folder">Holds adapter_config.json and adapter_model.safetensors.</param>
    /// <exception cref="ExportException">MDL4010 missing or contradictory, MDL4011 a feature or file format that is not supported.</exception>
    /// <exception cref="ModelFormatException">The safetensors file is missing or damaged.</exception>
    public static LoraAdapter Load(string folder) => PeftAdapterFiles.Load(folder);
}
