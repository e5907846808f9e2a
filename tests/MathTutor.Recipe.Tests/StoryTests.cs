using System.Globalization;
using MathTutor.Recipe.World;

namespace MathTutor.Recipe.Tests;

public sealed class StoryTests
{
    private static readonly Quantity Ann = new("Ann", Operation.Given, 13, null, 13);
    private static readonly Quantity Ben = new("Ben", Operation.More, 5, "Ann", 18);
    private static readonly Quantity Cat = new("Cat", Operation.Twice, 2, "Ben", 36);
    private static readonly Story Apples = new("apples", [Ann, Ben, Cat]);

    [Fact]
    public void A_story_reads_as_english()
    {
        Assert.Equal("Ann has 13 apples. Ben has 5 more than Ann. Cat has twice as many as Ben.", Apples.Text);
        Assert.Equal("How many apples does Cat have?", Apples.Question("Cat"));
    }

    [Fact]
    public void A_trace_shows_each_step_and_each_check()
    {
        const string pass = "Ann = 13. Ben = 13 + 5 = 18. Cat = 18 * 2 = 36.";
        Assert.Equal($"<think>{pass}</think>\n\n36", Reasoning.Trace(Apples, "Cat", 0));
        Assert.Equal($"<think>{pass} Check: {pass} Again: {pass}</think>\n\n36", Reasoning.Trace(Apples, "Cat", 2));
    }

    [Fact]
    public void The_canonical_form_leaves_names_and_items_out()
    {
        var other = new Story("pens",
            [Ann with { Person = "Zoe" }, Ben with { Person = "Tom", Of = "Zoe" }, Cat with { Person = "Sam", Of = "Tom" }]);
        Assert.Equal("13+5*2", Apples.Canonical("Cat"));
        Assert.Equal(Apples.Canonical("Cat"), other.Canonical("Sam"));
        Assert.NotEqual(Apples.Canonical("Ann"), other.Canonical("Zoe"));
    }

    [Fact]
    public void Every_story_adds_up()
    {
        var dice = new Dice(5);
        for (int i = 0; i < 1000; i++)
        {
            int depth = i % 9;
            (Story story, string asked) = StoryTeller.Tell(dice, depth);
            Assert.Equal(depth, story.Depth(asked));
            Assert.Equal(Solve(story.Text, asked).ToString(CultureInfo.InvariantCulture), Reasoning.Answer(story, asked));
            Assert.All(story.Quantities, q => Assert.InRange(q.Value, 0, StoryTeller.Largest));
            Assert.Equal(depth + 1, story.Quantities.Select(q => q.Person).Distinct().Count());
        }
    }

    [Fact]
    public void A_held_out_problem_is_found_inside_a_longer_one()
    {
        var heldOut = new HeldOut();
        Assert.True(heldOut.Reserve(new Story("apples", [Ann, Ben]), "Ben"));
        Assert.True(heldOut.Contains(Apples));
        Assert.False(heldOut.Contains(new Story("apples", [Ann])));
    }

    // Reads the English again, without any help of the story's own numbers.
    private static int Solve(string text, string person)
    {
        string[] words = text.Split([". "], StringSplitOptions.None).Select(s => s.TrimEnd('.')).Single(s => s.StartsWith(person + " ", StringComparison.Ordinal)).Split(' ');
        return words[^2] switch
        {
            "than" when words[3] == "more" => Solve(text, words[^1]) + int.Parse(words[2], CultureInfo.InvariantCulture),
            "than" => Solve(text, words[^1]) - int.Parse(words[2], CultureInfo.InvariantCulture),
            "as" when words[2] == "twice" => Solve(text, words[^1]) * 2,
            "as" => Solve(text, words[^1]) / 2,
            _ => int.Parse(words[2], CultureInfo.InvariantCulture),
        };
    }
}
