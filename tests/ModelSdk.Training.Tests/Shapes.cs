using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Training.Tests;

/// <summary>Small shapes that cover grouped queries and both kinds of heads.</summary>
internal static class Shapes
{
    public static TransformerConfig Tiny(bool tied = true) => new("qwen2", 61, 32, 48, 2, 4, 2, 8, 96, 10000, 1e-6, tied);

    /// <summary>About the size of a base that a sample ships.</summary>
    public static TransformerConfig Small { get; } = new("qwen2", 1024, 256, 768, 4, 4, 2, 64, 512, 10000, 1e-6, true);
}
