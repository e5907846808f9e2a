using MathTutor.Recipe.Tokenizers;
using MathTutor.Recipe.World;
using ModelSdk.Training;

namespace MathTutor.Recipe.Pretraining;

/// <summary>Turns documents into rectangles of about equal numbers of tokens, rows of similar length together.</summary>
internal sealed class Batches(BpeEncoder tokenizer, int tokensPerBatch, int context)
{
    private const int Pool = 1024;

    /// <summary>Tokens of a document with the weight of each as a label.</summary>
    public Encoded Encode(Document document)
    {
        var tokens = new List<int>();
        var weights = new List<float>();
        foreach (Span span in document.Spans)
        {
            tokenizer.Encode(span.Text, tokens);
            while (weights.Count < tokens.Count)
            {
                weights.Add(weights.Count == 0 ? 0 : span.Weight);
            }
        }

        return new Encoded([.. tokens], [.. weights]);
    }

    /// <summary>A pool of documents, cut into batches in random order.</summary>
    public IReadOnlyList<TokenBatch> Next(Dice dice, Func<Document> next)
    {
        var pool = new List<Encoded>();
        while (pool.Count < Pool)
        {
            Encoded encoded = Encode(next());
            if (encoded.Tokens.Length <= context)
            {
                pool.Add(encoded);
            }
        }

        pool.Sort((a, b) => a.Tokens.Length.CompareTo(b.Tokens.Length));
        var batches = new List<TokenBatch>();
        for (int end = pool.Count; end > 0;)
        {
            int length = pool[end - 1].Tokens.Length;
            int rows = Math.Min(end, Math.Max(1, tokensPerBatch / length));
            batches.Add(Rectangle(pool.GetRange(end - rows, rows)));
            end -= rows;
        }

        dice.Shuffle(batches);
        return batches;
    }

    /// <summary>Rows padded at the right.</summary>
    public TokenBatch Rectangle(IReadOnlyList<Encoded> rows)
    {
        int length = rows.Max(r => r.Tokens.Length);
        var ids = new long[rows.Count * length];
        var weights = new float[rows.Count * length];
        Array.Fill(ids, tokenizer.Added("<|endoftext|>"));
        for (int r = 0; r < rows.Count; r++)
        {
            for (int t = 0; t < rows[r].Tokens.Length; t++)
            {
                ids[(r * length) + t] = rows[r].Tokens[t];
                weights[(r * length) + t] = rows[r].Weights[t];
            }
        }

        return new TokenBatch { Ids = ids, Rows = rows.Count, LossWeights = weights };
    }
}
