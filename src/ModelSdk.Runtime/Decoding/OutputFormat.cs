using ModelSdk.Runtime.Bundles;
using ModelSdk.Runtime.Text;

namespace ModelSdk.Runtime.Decoding;

/// <summary>What generated tokens mean: where a turn ends, how reasoning is told from the answer, and how it is cut.</summary>
public sealed class OutputFormat
{
    private readonly HashSet<int> _ends;

    /// <summary>Describes a model's output.</summary>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="prompt">Tags of the reasoning block and the text that forces an answer.</param>
    /// <param name="answerTokens">Most tokens of a forced answer.</param>
    /// <param name="ends">Token ids that end a turn.</param>
    /// <param name="vocabulary">Rows of the LM head; those that no token has are never chosen.</param>
    public OutputFormat(Tokenizer tokenizer, BundlePrompt prompt, int answerTokens, IEnumerable<int> ends, int vocabulary)
    {
        Tokenizer = tokenizer;
        Prompt = prompt;
        AnswerTokens = answerTokens;
        _ends = [.. ends];
        Vocabulary = Math.Min(vocabulary, tokenizer.Count);
        ForceAnswerTokens = tokenizer.Encode(prompt.ForceAnswer);
    }

    /// <summary>The model's tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Tags of the reasoning block and the text that forces an answer.</summary>
    public BundlePrompt Prompt { get; }

    /// <summary>Most tokens of a forced answer.</summary>
    public int AnswerTokens { get; }

    /// <summary>Tokens appended when the reasoning is cut.</summary>
    internal int[] ForceAnswerTokens { get; }

    /// <summary>Token ids that may be generated: the rows of a padded vocabulary that no token has are never chosen.</summary>
    public int Vocabulary { get; }

    /// <summary>Whether a token ends the turn.</summary>
    public bool IsEnd(int token) => _ends.Contains(token);
}
