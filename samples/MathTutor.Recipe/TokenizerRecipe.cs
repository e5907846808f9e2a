using MathTutor.Recipe.Tokenizers;
using MathTutor.Recipe.World;

namespace MathTutor.Recipe;

/// <summary>Learns the tokenizer from the world's text.</summary>
internal static class TokenizerRecipe
{
    private const int MostMerges = 507; // 256 bytes + 507 merges + 5 added tokens = 768 at most
    private const int AtLeast = 20;

    // Words that occur in the base's text only; often enough to become tokens.
    private static readonly string[] Frames = ["Problem: ", "\nSteps: ", "\nAnswer: ", "Notes: ", "\nRelations: ", "What is 3 + 4?", "After Ann comes Ben."];

    /// <summary>Writes the tokenizer's files.</summary>
    /// <returns>The number of tokens.</returns>
    public static int Write(string folder, int context)
    {
        IEnumerable<string> texts = DataFiles.Create().Chains.SelectMany(e => e.Messages).Select(m => m.Content)
            .Concat(Enumerable.Repeat(SmallTalk.All.SelectMany(t => (string[])[t.User, t.Reply]).Concat(Frames), AtLeast).SelectMany(t => t));
        return TokenizerFiles.Write(folder, BpeTrainer.Learn(texts.SelectMany(Plain), AtLeast, MostMerges), context);
    }

    private static string[] Plain(string text) => text.Split([.. TokenizerFiles.Added], StringSplitOptions.RemoveEmptyEntries);
}
