namespace MathTutor.Recipe.World;

/// <summary>Makes up stories.</summary>
internal static class StoryTeller
{
    /// <summary>The persons of the world.</summary>
    public static readonly IReadOnlyList<string> Names =
    [
        "Ann", "Ben", "Cat", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jim", "Kim", "Leo", "Mia", "Ned", "Ola", "Pam", "Ray", "Sam", "Tom", "Zoe",
    ];

    /// <summary>What they have.</summary>
    public static readonly IReadOnlyList<string> Items =
    [
        "apples", "pears", "plums", "nuts", "coins", "cards", "books", "stamps", "shells", "pens",
    ];

    /// <summary>Most of anything that anybody has.</summary>
    public const int Largest = 99;

    /// <summary>A story and the person asked about, whose depth is <paramref name="depth"/>.</summary>
    public static (Story Story, string Asked) Tell(Dice dice, int depth)
    {
        var names = Names.ToArray();
        dice.Shuffle(names);
        var chain = new List<Quantity> { Given(dice, names[0]) };
        for (int i = 1; i <= depth; i++)
        {
            chain.Add(Derived(dice, names[i], chain[^1]));
        }

        return (new Story(dice.Pick(Items), chain), names[depth]);
    }

    /// <summary>A story in which everybody has the same number, and the person asked about: long to read, but nothing to work out.</summary>
    /// <param name="dice">Chance.</param>
    /// <param name="persons">Sentences.</param>
    /// <param name="value">The number.</param>
    public static (Story Story, string Asked) TellSame(Dice dice, int persons, int value)
    {
        var names = Names.ToArray();
        dice.Shuffle(names);
        return (new Story(dice.Pick(Items), [.. names[..persons].Select(n => new Quantity(n, Operation.Given, value, null, value))]), names[dice.Below(persons)]);
    }

    private static Quantity Given(Dice dice, string person)
    {
        int value = dice.Between(2, 20);
        return new Quantity(person, Operation.Given, value, null, value);
    }

    // 40% more, 30% fewer (both 1..9), 20% twice, 10% half; drawn again where the result is no whole number in 0..99.
    private static Quantity Derived(Dice dice, string person, Quantity of)
    {
        while (true)
        {
            int draw = dice.Below(100);
            (Operation operation, int operand) = draw switch
            {
                < 40 => (Operation.More, dice.Between(1, 9)),
                < 70 => (Operation.Fewer, dice.Between(1, 9)),
                < 90 => (Operation.Twice, 2),
                _ => (Operation.Half, 2),
            };
            int value = Apply(operation, of.Value, operand);
            bool scales = operation is Operation.Twice or Operation.Half;
            if (value is >= 0 and <= Largest && !(scales && of.Value == 0) && !(operation == Operation.Half && of.Value % 2 != 0))
            {
                return new Quantity(person, operation, operand, of.Person, value);
            }
        }
    }

    /// <summary>The result of an operation.</summary>
    public static int Apply(Operation operation, int of, int operand) => operation switch
    {
        Operation.More => of + operand,
        Operation.Fewer => of - operand,
        Operation.Twice => of * operand,
        Operation.Half => of / operand,
        _ => operand,
    };
}
