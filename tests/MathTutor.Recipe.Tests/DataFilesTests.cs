using System.Text.RegularExpressions;
using MathTutor.Recipe.World;
using ModelSdk.Runtime.Text;
using ModelSdk.Training.Heads;

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
    [InlineData("budget.jsonl")]
    [InlineData("switcher.jsonl")]
    [InlineData("test-switcher.jsonl")]
    [InlineData("verifier.jsonl")]
    [InlineData("test-votes.jsonl")]
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
        // What is trained on is one split.
        var seen = new Dictionary<string, string>();
        foreach ((string file, IReadOnlyList<Example> examples) in Data.Files)
        {
            string split = file is "train.jsonl" or "budget.jsonl" or "switcher.jsonl" or "verifier.jsonl" ? "training" : file;
            foreach (string form in examples.Where(e => e.Answer is not null).Select(Form).Distinct())
            {
                Assert.True(seen.TryAdd(form, split) || seen[form] == split, $"'{form}' is in {file} and in {seen[form]}.");
            }
        }
    }

    [Fact]
    public void Easy_and_hard_prompts_of_the_switcher_are_equally_long_and_state_a_budget_equally_often()
    {
        var tokenizer = Tokenizer.Load(Committed.Base("tokenizer.json"));
        foreach (IReadOnlyList<Example> file in (IReadOnlyList<Example>[])[Data.Switcher, Data.TestSwitcher])
        {
            (int Length, bool Budget, bool Hard)[] prompts = [.. file.Select(e => (tokenizer.Encode(e.Messages[0].Content).Length, e.Messages[0].Content.Contains("tokens.", StringComparison.Ordinal), e.Mode == "arithmetic"))];
            Assert.InRange(AreaUnderCurve.Of([.. prompts.Select(p => (double)p.Length)], [.. prompts.Select(p => p.Hard)]), 0.47, 0.53);
            Assert.InRange(AreaUnderCurve.Of([.. prompts.Select(p => p.Budget ? 1.0 : 0.0)], [.. prompts.Select(p => p.Hard)]), 0.45, 0.55);
        }

        Assert.All(Data.Switcher.CountBy(e => e.Mode!), mode => Assert.Equal(1000, mode.Value));
        Assert.True(Data.TestSwitcher.Count >= 500);
        Assert.All(Data.Switcher.Concat(Data.TestSwitcher), e => Assert.Equal(e.Mode == "base", e.Depth == 0));
    }

    [Fact]
    public void Answers_of_the_new_files_are_right()
    {
        foreach (Example example in Data.Budget.Concat(Data.Switcher).Concat(Data.TestSwitcher).Concat(Data.Verifier).Concat(Data.TestVotes))
        {
            Assert.Equal(example.Answer, Solve(example.Messages[0].Content));
        }
    }

    // Reads the story sentence by sentence, as a person would.
    private static string Solve(string prompt)
    {
        var has = new Dictionary<string, int>();
        foreach (Match sentence in Sentences().Matches(prompt))
        {
            string text = sentence.Groups[2].Value;
            int Other(string of) => has[text[(text.LastIndexOf(of, StringComparison.Ordinal) + of.Length)..]];
            int number = text.Split(' ')[0] is var first && char.IsAsciiDigit(first[0]) ? int.Parse(first, System.Globalization.CultureInfo.InvariantCulture) : 0;
            has[sentence.Groups[1].Value] = text switch
            {
                _ when text.Contains("more than") => Other("than ") + number,
                _ when text.Contains("fewer than") => Other("than ") - number,
                _ when text.StartsWith("twice", StringComparison.Ordinal) => Other("many as ") * 2,
                _ when text.StartsWith("half", StringComparison.Ordinal) => Other("many as ") / 2,
                _ => number,
            };
        }

        return has[Asked().Match(prompt).Groups[1].Value].ToString(System.Globalization.CultureInfo.InvariantCulture);
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

    [GeneratedRegex(@"([A-Z][a-z]+) has ([^.]+)\.")]
    private static partial Regex Sentences();

    [GeneratedRegex(@"does ([A-Z][a-z]+) have\?")]
    private static partial Regex Asked();

    [GeneratedRegex(@" Use at most \d+ tokens\.$")]
    private static partial Regex Budget();
}
