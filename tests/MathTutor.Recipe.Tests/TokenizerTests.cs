using MathTutor.Recipe.Tokenizers;
using MathTutor.Recipe.World;
using ModelSdk.Runtime.Text;

namespace MathTutor.Recipe.Tests;

public sealed class TokenizerTests
{
    private static readonly Tokenizer Tokenizer = Tokenizer.Load(Committed.Base("tokenizer.json"));

    [Fact]
    public void All_texts_of_the_data_come_back_from_their_tokens()
    {
        foreach (string text in DataFiles.Create().Files.Values.SelectMany(f => f).SelectMany(e => e.Messages).Select(m => m.Content).Distinct())
        {
            Assert.Equal(text, Tokenizer.Decode(Tokenizer.Encode(text)));
        }
    }

    [Fact]
    public void The_recipe_encodes_as_the_runtime_does()
    {
        var encoder = new BpeEncoder(Committed.Base("tokenizer.json"));
        foreach (Example example in DataFiles.Create().Validation)
        {
            string text = $"<|im_start|>user\n{example.Messages[0].Content}<|im_end|>\n<|im_start|>assistant\n{example.Messages[1].Content}<|im_end|>";
            var ids = new List<int>();
            encoder.Encode(text, ids);
            Assert.Equal(ids, Tokenizer.Encode(text));
        }
    }

    [Fact]
    public void Names_are_one_token_and_digits_stand_alone()
    {
        Assert.All(StoryTeller.Names, n => Assert.Single(Tokenizer.Encode(" " + n)));
        Assert.Equal(4, Tokenizer.Encode(" 123").Length);
    }

    [Fact]
    public void The_recipe_writes_the_committed_tokenizer()
    {
        string folder = Directory.CreateTempSubdirectory("modelsdk-tokenizer-").FullName;
        try
        {
            TokenizerRecipe.Write(folder, 512);
            foreach (string file in Directory.GetFiles(folder))
            {
                Assert.Equal(File.ReadAllText(file), File.ReadAllText(Committed.Base(Path.GetFileName(file))));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
