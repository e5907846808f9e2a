using System.Text.RegularExpressions;
using MathTutor.Recipe.World;

namespace MathTutor.Recipe.Tests;

public sealed partial class DataFilesTests
{
    private static readonly DataFiles Data = DataFiles.Create();

    [Theory]
    [InlineData("train.jsonl")]
    [InlineData("validation.jsonl")]
    [InlineData("test.jsonl")]
    [InlineData("test-easy.jsonl")]
    [InlineData("test-chat.jsonl")]
    public void The_committed_file_is_what_the_recipe_writes(string file) =>
        Assert.Equal(DataFiles.Text(Data.Files[file]), File.ReadAllText(Committed.Data(file)));

    [Fact]
    public void The_hard_test_has_as_many_problems_of_each_depth_from_3_to_6()
    {
        Assert.True(Data.Test.Count >= 600);
        Assert.Equal([3, 4, 5, 6], Data.Test.Select(e => e.Depth!.Value).Distinct().Order());
        Assert.Single(Data.Test.CountBy(e => e.Depth!.Value).Select(c => c.Value).Distinct());
    }

    [Fact]
    public void No_problem_of_a_split_occurs_in_another_one_even_under_other_names()
    {
        var seen = new Dictionary<string, string>();
        foreach ((string file, IReadOnlyList<Example> examples) in Data.Files)
        {
            foreach (string form in examples.Where(e => e.Answer is not null).Select(Form).Distinct())
            {
                Assert.True(seen.TryAdd(form, file), $"'{form}' is in {file} and in {seen[form]}.");
            }
        }
    }

    [Fact]
    public void Small_talk_of_the_test_is_not_trained_on()
    {
        Assert.Equal(50, Data.TestChat.Count);
        Assert.Empty(Data.TestChat.Select(e => e.Messages[0].Content).Intersect(Data.SmallTalk.Select(t => t.User)));
    }

    [Fact]
    public void Answers_follow_the_think_block() =>
        Assert.All(Data.Train.Concat(Data.Validation), e => Assert.EndsWith($"</think>\n\n{e.Answer}", e.Messages[^1].Content, StringComparison.Ordinal));

    [Fact]
    public void Another_seed_makes_other_problems() =>
        Assert.NotEqual(DataFiles.Text(Data.Test), DataFiles.Text(DataFiles.Create(DataFiles.Seed + 1).Test));

    // The operations in the order of the plain chain; names and item only where there is no operation.
    private static string Form(Example example)
    {
        string text = example.Messages[0].Content;
        return example.Depth == 0 ? Budget().Replace(text, "") : string.Join(' ', Operations().Matches(text).Select(m => m.Value));
    }

    [GeneratedRegex(@"(?<=has )(\d+( more| fewer)?|twice|half)")]
    private static partial Regex Operations();

    [GeneratedRegex(@" Use at most \d+ tokens\.$")]
    private static partial Regex Budget();
}
