namespace MathTutor.Recipe.Pretraining;

/// <summary>A piece of text and how much its tokens weigh as labels; 0 means that they are only read.</summary>
internal readonly record struct Span(string Text, float Weight);

/// <summary>One training document: spans that are tokenized each on its own.</summary>
internal sealed record Document(IReadOnlyList<Span> Spans)
{
    /// <summary>The text as a whole.</summary>
    public string Text => string.Concat(Spans.Select(s => s.Text));
}

/// <summary>A tokenized document.</summary>
/// <param name="Tokens">Token ids.</param>
/// <param name="Weights">Weight of each token as a label.</param>
internal sealed record Encoded(int[] Tokens, float[] Weights);
