using MathTutor.Recipe.Pretraining;
using MathTutor.Recipe.Tokenizers;
using MathTutor.Recipe.World;

namespace MathTutor.Recipe;

/// <summary>Learns the tokenizer from the world's text.</summary>
internal static class TokenizerRecipe
{
    private const int Documents = 20_000;
    private const int MostMerges = 507; // 256 bytes + 507 merges + 5 added tokens = 768 at most

    /// <summary>Writes the tokenizer's files.</summary>
    /// <returns>The number of tokens.</returns>
    public static int Write(string folder, int context)
    {
        DataFiles data = DataFiles.Create();
        var mixture = new Mixture(Dice.For(DataFiles.Seed, "tokenizer"), data.HeldOut, data.SmallTalk);
        Diet diet = PretrainingOptions.Diet(1);
        IEnumerable<string> texts = Enumerable.Range(0, Documents).Select(_ => mixture.Next(diet).Text)
            .Concat(SmallTalk.All.SelectMany(t => (string[])[t.User, t.Reply]));
        return TokenizerFiles.Write(folder, BpeTrainer.Learn(texts.SelectMany(Plain), 20, MostMerges), context);
    }

    private static string[] Plain(string text) => text.Split([.. TokenizerFiles.Added], StringSplitOptions.RemoveEmptyEntries);
}
