using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace MathTutor.Recipe.World;

/// <summary>One line of a data file.</summary>
/// <param name="Messages">The conversation; test problems end with the user's message, the others with the assistant's.</param>
/// <param name="Answer">The right number as text; null in small talk.</param>
/// <param name="Depth">Operations that lead to the answer; null in small talk.</param>
/// <param name="Mode">Who should answer, "base" or "arithmetic"; in the switcher's files only.</param>
internal sealed record Example(
    [property: JsonPropertyName("messages")] IReadOnlyList<Message> Messages,
    [property: JsonPropertyName("answer"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Answer,
    [property: JsonPropertyName("depth"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Depth,
    [property: JsonPropertyName("mode"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Mode = null);

/// <summary>One turn of a conversation.</summary>
internal sealed record Message([property: JsonPropertyName("role")] string Role, [property: JsonPropertyName("content")] string Content);

/// <summary>The sample's train, validation and test files, all from one seed.</summary>
/// <remarks>
/// Test and validation problems are drawn first and reserved by their canonical form (names and items left out), so that no story
/// in the training file or in the base's own training contains one of them, not even as a part.
/// </remarks>
internal sealed class DataFiles
{
    /// <summary>The seed of the committed files.</summary>
    public const ulong Seed = 2603;

    /// <summary>Small-talk exchanges kept for the test.</summary>
    private const int SmallTalkTests = 50;

    /// <summary>Traces of stories in which everybody has the same number: an adapter that is given one should answer it, too.</summary>
    private const int SameTraces = 600;

    private static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly HashSet<string> _trained = [];

    private DataFiles(ulong seed)
    {
        // The counts are by depth, from 0 on.
        Test = Draw(Dice.For(seed, "test"), [0, 0, 0, 150, 150, 150, 150], Reserve, Problem);
        TestEasy = Draw(Dice.For(seed, "test-easy"), [40, 80, 80], Reserve, Problem);
        Validation = Draw(Dice.For(seed, "validation"), [0, 20, 36, 36, 36, 36, 36], Reserve, Traced);
        Chains = Draw(Dice.For(seed, "train"), [0, 600, 900, 1100, 1100, 1100, 1200], (story, _) => !HeldOut.Contains(story) && Note(story), Traced);

        // What came later must leave the chains as they are, for the tokenizer was learnt from them: these tests keep clear of them instead.
        TestSwitcher = Mixed(Dice.For(seed, "test-switcher"), easy: 420, hard: 180, Unseen);
        TestVotes = Draw(Dice.For(seed, "test-votes"), [0, 0, 0, 0, 0, 0, 300, 300], Unseen, Problem);
        Dice same = Dice.For(seed, "train same");
        Train = [.. Chains, .. Enumerable.Range(0, SameTraces).Select(_ => Same(same, Free, Traced))];
        Switcher = Mixed(Dice.For(seed, "switcher"), easy: 1000, hard: 1000, Free);
        Budget = Draw(Dice.For(seed, "budget"), [0, 100, 200, 450, 450, 450, 450], Free, Problem);
        Verifier = Draw(Dice.For(seed, "verifier"), [0, 0, 0, 0, 0, 0, 600, 600], Free, Problem);

        var talk = World.SmallTalk.All.ToArray();
        Dice.For(seed, "small talk").Shuffle(talk);
        TestChat = [.. talk[..SmallTalkTests].Select(t => new Example([new("user", t.User), new("assistant", t.Reply)], null, null))];
        SmallTalk = talk[SmallTalkTests..];
    }

    /// <summary>Hard problems for the test, depth 3 to 6.</summary>
    public IReadOnlyList<Example> Test { get; }

    /// <summary>Easy problems for the test, depth 0 to 2.</summary>
    public IReadOnlyList<Example> TestEasy { get; }

    /// <summary>Small talk for the test.</summary>
    public IReadOnlyList<Example> TestChat { get; }

    /// <summary>Traces for watching a training.</summary>
    public IReadOnlyList<Example> Validation { get; }

    /// <summary>Traces to train an adapter on: <see cref="Chains"/>, then stories in which everybody has the same number.</summary>
    public IReadOnlyList<Example> Train { get; }

    /// <summary>The traces of chains among them, from which the tokenizer was learnt.</summary>
    public IReadOnlyList<Example> Chains { get; }

    /// <summary>Questions for budget forcing: mostly long ones, of which a step's samples are neither all right nor all wrong.</summary>
    public IReadOnlyList<Example> Budget { get; }

    /// <summary>Prompts to train the switcher on: easy and hard ones of the same lengths.</summary>
    public IReadOnlyList<Example> Switcher { get; }

    /// <summary>The same for its test, with answers.</summary>
    public IReadOnlyList<Example> TestSwitcher { get; }

    /// <summary>Long problems to train the verifier on, depth 6 and 7.</summary>
    public IReadOnlyList<Example> Verifier { get; }

    /// <summary>Long problems on which votes are measured, depth 6 and 7.</summary>
    public IReadOnlyList<Example> TestVotes { get; }

    /// <summary>Problems that nothing may be trained on.</summary>
    public HeldOut HeldOut { get; } = new();

    /// <summary>Small talk that may be trained on.</summary>
    public IReadOnlyList<(string User, string Reply)> SmallTalk { get; }

    /// <summary>File name to lines.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<Example>> Files => new Dictionary<string, IReadOnlyList<Example>>
    {
        ["train.jsonl"] = Train,
        ["validation.jsonl"] = Validation,
        ["test.jsonl"] = Test,
        ["test-easy.jsonl"] = TestEasy,
        ["test-chat.jsonl"] = TestChat,
        ["budget.jsonl"] = Budget,
        ["switcher.jsonl"] = Switcher,
        ["test-switcher.jsonl"] = TestSwitcher,
        ["verifier.jsonl"] = Verifier,
        ["test-votes.jsonl"] = TestVotes,
    };

    /// <summary>Makes all examples.</summary>
    public static DataFiles Create(ulong seed = Seed) => new(seed);

    /// <summary>The text of one file: a JSON object a line.</summary>
    public static string Text(IEnumerable<Example> examples)
    {
        var text = new StringBuilder();
        foreach (Example example in examples)
        {
            text.Append(JsonSerializer.Serialize(example, Json)).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>Writes all files into a folder.</summary>
    public void Write(string folder)
    {
        Directory.CreateDirectory(folder);
        foreach ((string name, IReadOnlyList<Example> examples) in Files)
        {
            File.WriteAllText(Path.Combine(folder, name), Text(examples));
        }
    }

    /// <summary>The question as the user asks it: half the time with a budget, of which the trace takes no notice.</summary>
    public static string Prompt(Dice dice, Story story, string asked)
    {
        string prompt = $"{story.Text} {story.Question(asked)}";
        return dice.Chance(0.5) ? $"{prompt} {BudgetText(dice)}" : prompt;
    }

    /// <summary>A budget as it stands in a prompt.</summary>
    public static string BudgetText(Dice dice) => FormattableString.Invariant($"Use at most {dice.Between(2, 50) * 8} tokens.");

    private bool Reserve(Story story, string asked) => !HeldOut.Contains(story) && HeldOut.Reserve(story, asked);

    private static Example Problem(Dice dice, Story story, string asked) =>
        new([new("user", $"{story.Text} {story.Question(asked)}")], Reasoning.Answer(story, asked), story.Depth(asked));

    private static Example Traced(Dice dice, Story story, string asked)
    {
        string trace = Reasoning.Trace(story, asked, Reasoning.Checks(dice, Reasoning.TraceChecks));
        return new([new("user", Prompt(dice, story, asked)), new("assistant", trace)], Reasoning.Answer(story, asked), story.Depth(asked));
    }

    private bool Note(Story story)
    {
        _trained.UnionWith(story.Quantities.Select(q => story.Canonical(q.Person)));
        return true;
    }

    private bool Unseen(Story story, string asked) => !_trained.Contains(story.Canonical(asked)) && Reserve(story, asked);

    private bool Free(Story story, string asked) => !HeldOut.Contains(story);

    /// <summary>
    /// Prompts for the switcher. Hard: a chain of 3 to 6 operations. Easy: a story of as many words in which everybody has the same number,
    /// which the base answers at once. Each easy prompt is as long as some hard one, and half of both state a budget.
    /// </summary>
    private static Example[] Mixed(Dice dice, int easy, int hard, Func<Story, string, bool> take)
    {
        var examples = new List<Example>();
        for (int i = 0; i < easy + hard;)
        {
            (Story story, string asked) = StoryTeller.Tell(dice, dice.Between(3, 6));
            if (i < hard)
            {
                if (take(story, asked))
                {
                    examples.Add(Asked(dice, story, asked, "arithmetic"));
                    i++;
                }
            }
            else
            {
                examples.Add(Same(dice, take, (d, s, a) => Asked(d, s, a, "base"), story));
                i++;
            }
        }

        dice.Shuffle(examples);
        return [.. examples];
    }

    /// <summary>A story in which everybody has the same number, as long as another one or, without that, of 4 to 9 persons.</summary>
    private static Example Same(Dice dice, Func<Story, string, bool> take, Func<Dice, Story, string, Example> write, Story? like = null)
    {
        // All numbers of persons and of digits, the nearest in length first; the nearest three are equally good.
        int length = like is null ? 0 : Words(like.Text);
        (int Persons, int Digits)[] sizes = [.. Enumerable.Range(4, 6).SelectMany(n => ((int, int)[])[(n, 1), (n, 2)])];
        if (like is not null)
        {
            sizes = [.. sizes.OrderBy(s => Math.Abs((s.Persons * (5 + s.Digits)) - length)).Take(3)];
        }

        while (true)
        {
            (int persons, int digits) = dice.Pick(sizes);
            (Story story, string asked) = StoryTeller.TellSame(dice, persons, digits == 1 ? dice.Between(2, 9) : dice.Between(10, 20));
            if (take(story, asked))
            {
                return write(dice, story, asked);
            }
        }
    }

    /// <summary>Words, digits and full stops of a story, and the space before a number: what its tokens are.</summary>
    private static int Words(string text) => text.Split(' ').Sum(w => char.IsAsciiDigit(w[0]) ? w.Length + 1 : w.EndsWith('.') ? 2 : 1);

    private static Example Asked(Dice dice, Story story, string asked, string mode) =>
        new([new("user", Prompt(dice, story, asked))], Reasoning.Answer(story, asked), story.Depth(asked), mode);

    private static Example[] Draw(Dice dice, int[] counts, Func<Story, string, bool> take, Func<Dice, Story, string, Example> write)
    {
        var examples = new List<Example>();
        for (int depth = 0; depth < counts.Length; depth++)
        {
            for (int i = 0; i < counts[depth];)
            {
                (Story story, string asked) = StoryTeller.Tell(dice, depth);
                if (take(story, asked))
                {
                    examples.Add(write(dice, story, asked));
                    i++;
                }
            }
        }

        dice.Shuffle(examples);
        return [.. examples];
    }
}
