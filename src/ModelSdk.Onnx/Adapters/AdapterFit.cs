using System.Security.Cryptography;
using System.Text;
using ModelSdk.Manifest;
using ModelSdk.Onnx.Checkpoints;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Onnx.Adapters;

/// <summary>Whether an adapter belongs to a base: its linears, their shapes, and the base's digest where the adapter states one.</summary>
public static class AdapterFit
{
    /// <summary>The seven linears of a layer, which an adapter may change.</summary>
    private static readonly string[] s_linears = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    /// <summary>Throws where the adapter does not fit.</summary>
    /// <param name="adapter">The adapter.</param>
    /// <param name="config">Shape of the base.</param>
    /// <param name="baseDigest">What <see cref="DigestOf"/> gives for the base's weights; null: not compared.</param>
    /// <exception cref="ExportException">MDL4012: another base's adapter.</exception>
    public static void Check(LoraAdapter adapter, TransformerConfig config, string? baseDigest = null)
    {
        Dictionary<string, long[]> shapes = Qwen2Tensors.Of(config).ToDictionary(t => t.Name, t => t.Shape);
        foreach (LoraLinear linear in adapter.Linears.Values.OrderBy(l => l.Name, StringComparer.Ordinal))
        {
            if (!s_linears.Contains(linear.Target) || !shapes.TryGetValue(linear.Name + ".weight", out long[]? shape))
                throw DoesNotFit($"it changes {linear.Name}, which is no linear of this base's {config.Layers} layers");
            if (linear.OutFeatures != shape[0] || linear.InFeatures != shape[1])
                throw DoesNotFit($"its {linear.Name} is [{linear.OutFeatures}, {linear.InFeatures}], the base's is [{shape[0]}, {shape[1]}]");
            if (adapter.Rank > 1024)
                throw DoesNotFit($"its rank of {adapter.Rank} is above 1024");
        }

        if (adapter.BaseDigest is not null && baseDigest is not null && adapter.BaseDigest != baseDigest)
            throw DoesNotFit($"it was trained on the weights {adapter.BaseDigest}, these are {baseDigest}");
    }

    /// <summary>Digest of a base's weights: "sha256:" and the SHA-256 of what <c>sha256sum</c> prints for its safetensors files in the order of their names.</summary>
    /// <param name="files">File names without folder, and their SHA-256 in lower-case hexadecimal digits.</param>
    public static string DigestOf(IEnumerable<(string Name, string Sha256)> files)
    {
        var text = new StringBuilder();
        foreach ((string name, string sha256) in files.OrderBy(f => f.Name, StringComparer.Ordinal))
            text.Append(sha256).Append("  ").Append(name).Append('\n');
        return "sha256:" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }

    private static ExportException DoesNotFit(string why)
        => new(DiagnosticCodes.AdapterDoesNotFit, $"The adapter was made for another base: {why}. Give the base that it was trained on.");
}
