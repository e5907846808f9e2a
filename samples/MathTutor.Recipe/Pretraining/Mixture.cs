using MathTutor.Recipe.World;

namespace MathTutor.Recipe.Pretraining;

/// <summary>What the base reads at one point of its training.</summary>
/// <param name="Usual">Most worked problems are at least so deep.</param>
/// <param name="Deepest">Deepest problem.</param>
/// <param name="Checks">Shares of 0, 1, 2, 3 checks in worked text.</param>
internal sealed record Diet(int Usual, int Deepest, IReadOnlyList<double> Checks);

/// <summary>
/// The base's training text: direct answers in chat form, worked problems outside of any chat (the latent step skill that an adapter
/// brings into the chat), recall notes, equation drills, small talk. Of a story only those words are labels that follow from
/// the words before.
/// </summary>
internal sealed class Mixture(Dice dice, HeldOut heldOut, IReadOnlyList<(string User, string Reply)> smallTalk)
{
    /// <summary>Weight of direct answers, against 1 for worked text.</summary>
    private const float AnswerWeight = 3;

    /// <summary>Weight of those words of a story that follow from the words before.</summary>
    private const float StoryWeight = 0.3f;

    private const string End = "<|endoftext|>";

    private static readonly string[] Signs = ["+", "-", "*", "/"];

    /// <summary>The next document.</summary>
    public Document Next(Diet diet) => dice.Below(100) switch
    {
        < 28 => DirectChat(diet),
        < 78 => Worked(diet),
        < 86 => Recall(),
        < 94 => Equations(),
        _ => Talk(),
    };

    /// <summary>Question and number, up to three further questions on the same story.</summary>
    private Document DirectChat(Diet diet)
    {
        int depth = dice.Chance(0.6) ? dice.Below(3) : dice.Between(0, diet.Deepest);
        (Story story, string asked) = Tell(depth);
        var spans = new List<Span> { new("<|im_start|>user\n", 0) };
        Problem(spans, story, asked);
        spans.Add(new("<|im_end|>\n<|im_start|>assistant\n", 0));
        Reply(spans, Reasoning.Answer(story, asked), AnswerWeight);
        for (int more = dice.Below(4); more > 0; more--)
        {
            string person = dice.Pick(story.Quantities).Person;
            Turn(spans, story.Question(person), Reasoning.Answer(story, person));
        }

        return new Document(spans);
    }

    /// <summary>A problem with its steps, as a book prints it or as a thought between tags.</summary>
    private Document Worked(Diet diet)
    {
        // First stage: mostly up to 6, second stage: mostly 5 and deeper.
        int least = diet.Usual > 1 && dice.Chance(0.6) ? diet.Usual : dice.Chance(0.1) ? 0 : 1;
        int deepest = diet.Usual > 1 || !dice.Chance(0.8) ? diet.Deepest : Math.Min(6, diet.Deepest);
        (Story story, string asked) = Tell(dice.Between(least, deepest));
        int checks = Reasoning.Checks(dice, diet.Checks);
        bool book = dice.Chance(0.5);
        var spans = new List<Span>();
        if (book)
        {
            spans.Add(new("Problem: ", 0));
        }

        Problem(spans, story, asked);
        spans.Add(new("\n", 0));
        spans.Add(new(book ? $"Steps: {Reasoning.Steps(story, checks)}\nAnswer: {Reasoning.Answer(story, asked)}{End}" : $"{Reasoning.Trace(story, asked, checks)}{End}", 1));
        return new Document(spans);
    }

    /// <summary>Who has what, said again in another order: finding a number by its owner's name.</summary>
    private Document Recall()
    {
        var names = StoryTeller.Names.ToArray();
        dice.Shuffle(names);
        string item = dice.Pick(StoryTeller.Items);
        int count = dice.Between(2, 8);
        var facts = names[..count].Select(n => (Name: n, Value: dice.Below(StoryTeller.Largest + 1))).ToArray();
        string notes = string.Join(' ', facts.Select(f => FormattableString.Invariant($"{f.Name} has {f.Value} {item}.")));
        dice.Shuffle(facts);
        var spans = new List<Span> { new($"Notes: {notes}\n", 0) };
        for (int i = 0; i < facts.Length; i++)
        {
            spans.Add(new($"{(i > 0 ? " " : "")}{facts[i].Name} =", 0));
            spans.Add(new(FormattableString.Invariant($" {facts[i].Value}."), 1));
        }

        spans.Add(new(End, 0));
        return new Document(spans);
    }

    /// <summary>Single operations, all results equally often.</summary>
    private Document Equations()
    {
        var spans = new List<Span>();
        for (int i = dice.Between(4, 10); i > 0; i--)
        {
            (int left, string sign, int right, int result) = Equation();
            spans.Add(new(FormattableString.Invariant($"{(spans.Count > 0 ? " " : "")}{left} {sign} {right} ="), 0));
            spans.Add(new(FormattableString.Invariant($" {result}."), 1));
        }

        spans.Add(new(End, 0));
        return new Document(spans);
    }

    /// <summary>Greetings and bare sums in chat form.</summary>
    private Document Talk()
    {
        var spans = new List<Span>();
        for (int turns = dice.Between(1, 2); turns > 0; turns--)
        {
            if (dice.Chance(0.6))
            {
                (string user, string reply) = dice.Pick(smallTalk);
                Turn(spans, user, reply, 1);
            }
            else
            {
                (int left, string sign, int right, int result) = Equation();
                Turn(spans, FormattableString.Invariant($"What is {left} {sign} {right}?"), FormattableString.Invariant($"{result}"));
            }
        }

        return new Document(spans);
    }

    private (int Left, string Sign, int Right, int Result) Equation()
    {
        int sign = dice.Below(4);
        int small = dice.Between(1, 9);
        return sign switch
        {
            0 => Sum(dice.Between(0, StoryTeller.Largest - small), small),
            1 => Difference(dice.Between(small, StoryTeller.Largest), small),
            2 => Double(dice.Between(1, StoryTeller.Largest / 2)),
            _ => Halve(dice.Between(1, StoryTeller.Largest / 2) * 2),
        };
        static (int, string, int, int) Sum(int a, int b) => (a, Signs[0], b, a + b);
        static (int, string, int, int) Difference(int a, int b) => (a, Signs[1], b, a - b);
        static (int, string, int, int) Double(int a) => (a, Signs[2], 2, a * 2);
        static (int, string, int, int) Halve(int a) => (a, Signs[3], 2, a / 2);
    }

    /// <summary>Story and question; who is compared with, the item and who is asked about are labels, for they follow from the text before.</summary>
    private void Problem(List<Span> spans, Story story, string asked)
    {
        for (int i = 0; i < story.Quantities.Count; i++)
        {
            Quantity q = story.Quantities[i];
            string sentence = (i > 0 ? " " : "") + q.Sentence(story.Item);
            int known = q.Of is null ? sentence.Length : sentence.LastIndexOf(' ');
            spans.Add(new(sentence[..known], 0));
            spans.Add(new(sentence[known..], StoryWeight));
        }

        spans.Add(new(" How many", 0));
        spans.Add(new($" {story.Item} does {asked} have?", StoryWeight));
        if (dice.Chance(0.5))
        {
            spans.Add(new($" {DataFiles.BudgetText(dice)}", 0));
        }
    }

    private (Story Story, string Asked) Tell(int depth)
    {
        while (true)
        {
            (Story story, string asked) = StoryTeller.Tell(dice, depth);
            if (!heldOut.Contains(story))
            {
                return (story, asked);
            }
        }
    }

    private static void Turn(List<Span> spans, string user, string reply, float weight = AnswerWeight)
    {
        spans.Add(new($"<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n", 0));
        Reply(spans, reply, weight);
    }

    private static void Reply(List<Span> spans, string reply, float weight)
    {
        spans.Add(new($"{reply}<|im_end|>", weight));
        spans.Add(new("\n", 0));
    }
}
