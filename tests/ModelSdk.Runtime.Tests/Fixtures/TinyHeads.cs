using ModelSdk.Onnx.Heads;
using ModelSdk.Runtime.Bundles;

namespace ModelSdk.Runtime.Tests.Fixtures;

/// <summary>Heads of a small bundle.</summary>
/// <param name="Switcher">Chooses the mode; null = none.</param>
/// <param name="Verifier">Judges the answers of each adapter; null = none.</param>
/// <param name="Chunk">Tokens in a chunk of the switcher's average.</param>
internal sealed record TinyHeads(SwitcherHead? Switcher = null, VerifierHead? Verifier = null, int Chunk = 8)
{
    public const double Smoothing = 0.5;

    public const double Threshold = 0.5;

    public const string VerifierPrompt = "<|im_end|>\nright?";

    /// <summary>A head that counts letters: each mode's logit grows with the share of its letter in the prompt of a scripted model.</summary>
    public static SwitcherHead CountLetters(params IReadOnlyList<char> letters)
    {
        const int width = 8;
        float[] embedding = TinyBundle.Embedding();
        int size = embedding.Length / TinyTokenizer.VocabularySize;
        float[] w1 = new float[width * size];
        float[] w2 = new float[letters.Count * width];
        for (int i = 0; i < letters.Count; i++)
        {
            embedding.AsSpan(TinyTokenizer.Id(letters[i]) * size, size).CopyTo(w1.AsSpan(i * size));
            w2[i * width + i] = 0.3f;
        }

        return new SwitcherHead(w1, new float[width], w2, new float[letters.Count]);
    }

    /// <summary>A head of random weights.</summary>
    public static SwitcherHead Random(int modes, int size = 64)
    {
        Random random = new(23);
        return new SwitcherHead(Fill(8 * size), Fill(8), Fill(modes * 8), Fill(modes));

        float[] Fill(int count) => [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() * 2 - 1)];
    }

    /// <summary>A verifier that finds every answer right with this probability.</summary>
    public static VerifierHead Constant(double probability) => new(new float[64], (float)Math.Log(probability / (1 - probability)));

    public const double Least = 0.05;

    public const double Mean = 0.2;

    /// <summary>A verifier of random weights.</summary>
    /// <param name="confidence">Whether it also reads how sure the model was.</param>
    public static VerifierHead RandomVerifier(bool confidence = false)
    {
        Random random = new(29);
        return new VerifierHead([.. Enumerable.Range(0, 64).Select(_ => 0.2f * (random.NextSingle() * 2 - 1))], 0.1f, Confidence: confidence ? new BundleConfidence(Least, Mean) : null);
    }
}
