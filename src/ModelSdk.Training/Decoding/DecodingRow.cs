namespace ModelSdk.Training;

/// <summary>One sequence that is being decoded.</summary>
/// <param name="prompt">Tokens before the generation prompt.</param>
/// <param name="maxTokens">Most tokens to decode.</param>
/// <param name="sampler">Chooses tokens; null: the most likely ones.</param>
internal sealed class DecodingRow(int[] prompt, int maxTokens, DecodingSampler? sampler)
{
    public int[] Prompt { get; } = prompt;

    public DecodingSampler? Sampler { get; } = sampler;

    /// <summary>Decoded tokens, the one that ended the sequence included.</summary>
    public List<int> Tokens { get; } = [];

    /// <summary>An end token came.</summary>
    public bool Ended { get; private set; }

    /// <summary>An end token came or the limit was reached.</summary>
    public bool Done { get; private set; }

    /// <summary>Takes a token; true where it is the last one.</summary>
    public bool Take(int token, HashSet<int> ends, int room)
    {
        if (Done)
        {
            return false;
        }

        Tokens.Add(token);
        Ended = ends.Contains(token);
        Done = Ended || Tokens.Count >= Math.Min(maxTokens, room);
        return Done;
    }
}

/// <summary>Draws tokens from softmax(logits / temperature).</summary>
/// <param name="temperature">Above 0.</param>
/// <param name="seed">Seed of this sequence's random numbers.</param>
internal sealed class DecodingSampler(double temperature, ulong seed)
{
    private Dice _dice = new(seed);
    private double[] _weights = [];

    /// <summary>Log-probability of each token drawn.</summary>
    public List<float> LogProbs { get; } = [];

    /// <summary>Draws the next token.</summary>
    /// <param name="logits">[V].</param>
    public long Choose(ReadOnlySpan<float> logits)
    {
        if (_weights.Length != logits.Length)
        {
            _weights = new double[logits.Length];
        }

        double highest = System.Numerics.Tensors.TensorPrimitives.Max(logits), sum = 0;
        for (var i = 0; i < logits.Length; i++)
        {
            sum += _weights[i] = Math.Exp((logits[i] - highest) / temperature);
        }

        var rest = _dice.Fraction() * sum;
        var chosen = 0;
        while (chosen < logits.Length - 1 && rest >= _weights[chosen])
        {
            rest -= _weights[chosen++];
        }

        LogProbs.Add((float)(((logits[chosen] - highest) / temperature) - Math.Log(sum)));
        return chosen;
    }
}
