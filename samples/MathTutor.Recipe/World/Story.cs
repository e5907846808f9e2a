using System.Globalization;

namespace MathTutor.Recipe.World;

/// <summary>How a quantity follows from another one.</summary>
internal enum Operation
{
    /// <summary>A number of its own.</summary>
    Given,

    /// <summary>A number more than another person.</summary>
    More,

    /// <summary>A number fewer than another person.</summary>
    Fewer,

    /// <summary>Twice as many as another person.</summary>
    Twice,

    /// <summary>Half as many as another person.</summary>
    Half,
}

/// <summary>What one person has.</summary>
/// <param name="Person">Whose quantity this is.</param>
/// <param name="Operation">How it is defined.</param>
/// <param name="Operand">The number in the sentence; 2 for twice and half.</param>
/// <param name="Of">The person it is compared with; null for a given number.</param>
/// <param name="Value">The resulting quantity, 0..99.</param>
internal sealed record Quantity(string Person, Operation Operation, int Operand, string? Of, int Value)
{
    /// <summary>The sentence of the story, without the leading space.</summary>
    public string Sentence(string item) => Operation switch
    {
        Operation.Given => $"{Person} has {Text(Value)} {item}.",
        Operation.More => $"{Person} has {Text(Operand)} more than {Of}.",
        Operation.Fewer => $"{Person} has {Text(Operand)} fewer than {Of}.",
        Operation.Twice => $"{Person} has twice as many as {Of}.",
        _ => $"{Person} has half as many as {Of}.",
    };

    /// <summary>The worked step: <c>Ben = 13 + 5 = 18.</c></summary>
    /// <param name="of">The quantity of the person compared with; ignored for a given number.</param>
    public string Step(int of) => Operation == Operation.Given
        ? $"{Person} = {Text(Value)}."
        : $"{Person} = {Text(of)} {Sign} {Text(Operand)} = {Text(Value)}.";

    /// <summary>The sign used in worked steps.</summary>
    public char Sign => Operation switch
    {
        Operation.More => '+',
        Operation.Fewer => '-',
        Operation.Twice => '*',
        _ => '/',
    };

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}

/// <summary>Quantities that depend on one another, and what is counted.</summary>
/// <param name="Item">What is counted, in the plural.</param>
/// <param name="Quantities">In the order of the story: each follows from earlier ones.</param>
internal sealed record Story(string Item, IReadOnlyList<Quantity> Quantities)
{
    /// <summary>The story's sentences.</summary>
    public string Text => string.Join(' ', Quantities.Select(q => q.Sentence(Item)));

    /// <summary>The quantity of a person.</summary>
    public Quantity Of(string person) => Quantities.First(q => q.Person == person);

    /// <summary>The question for a person.</summary>
    public string Question(string person) => $"How many {Item} does {person} have?";

    /// <summary>How many operations lead to a person's quantity: the problem's depth.</summary>
    public int Depth(string person)
    {
        int depth = 0;
        for (Quantity q = Of(person); q.Of is not null; q = Of(q.Of))
        {
            depth++;
        }

        return depth;
    }

    /// <summary>Worked steps for all quantities, one after the other: one pass.</summary>
    public string Pass() => string.Join(' ', Quantities.Select(q => q.Step(q.Of is null ? 0 : Of(q.Of).Value)));

    /// <summary>
    /// What makes a problem the same problem: the given number and the operations that lead to the answer, with names and items
    /// left out. Problems without any operation keep name and item, for there are only 19 given numbers, and everybody else who has a given
    /// number.
    /// </summary>
    public string Canonical(string person)
    {
        Quantity asked = Of(person);
        if (asked.Of is null)
        {
            IEnumerable<string> others = Quantities.Where(o => o.Of is null && o != asked).Select(o => o.Person).Order(StringComparer.Ordinal);
            return string.Create(CultureInfo.InvariantCulture, $"{string.Join(' ', others.Prepend(person))} {asked.Value} {Item}");
        }

        var parts = new List<string>();
        Quantity q = asked;
        for (; q.Of is not null; q = Of(q.Of))
        {
            parts.Add(string.Create(CultureInfo.InvariantCulture, $"{q.Sign}{q.Operand}"));
        }

        parts.Add(q.Value.ToString(CultureInfo.InvariantCulture));
        parts.Reverse();
        return string.Concat(parts);
    }
}
