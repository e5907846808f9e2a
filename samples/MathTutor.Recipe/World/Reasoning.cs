using System.Globalization;

namespace MathTutor.Recipe.World;

/// <summary>Writes what the assistant thinks and answers.</summary>
internal static class Reasoning
{
    /// <summary>How the passes after the first are announced, in order.</summary>
    public static readonly IReadOnlyList<string> Announcements = ["Check:", "Again:", "Once more:"];

    /// <summary>Shares of 0, 1, 2 and 3 checks in the traces that an adapter is tuned on.</summary>
    public static readonly IReadOnlyList<double> TraceChecks = [0.15, 0.30, 0.30, 0.25];

    /// <summary>The steps and so many repetitions of them.</summary>
    public static string Steps(Story story, int checks)
    {
        string pass = story.Pass();
        return string.Join(' ', [pass, .. Announcements.Take(checks).Select(a => $"{a} {pass}")]);
    }

    /// <summary>The assistant's message in reasoning mode.</summary>
    public static string Trace(Story story, string asked, int checks) => $"<think>{Steps(story, checks)}</think>\n\n{Answer(story, asked)}";

    /// <summary>The assistant's message in chat mode: the number alone.</summary>
    public static string Answer(Story story, string asked) => story.Of(asked).Value.ToString(CultureInfo.InvariantCulture);

    /// <summary>A number of checks with the given shares.</summary>
    public static int Checks(Dice dice, IReadOnlyList<double> shares)
    {
        double draw = dice.Fraction();
        int checks = 0;
        while (checks < shares.Count - 1 && draw >= shares[checks])
        {
            draw -= shares[checks++];
        }

        return checks;
    }
}
