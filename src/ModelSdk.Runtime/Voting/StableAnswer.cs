namespace ModelSdk.Runtime.Voting;

/// <summary>
/// Watches the answers that a stream gives when it is probed in mid-reasoning (<see cref="VotingOptions.ProbeStable"/>) and says when they have
/// settled. After DEER (Yang et al., arXiv 2504.15895), which induces trial answers where the reasoning turns; here the sign to stop is that the answer stays
/// the same, which needs no threshold on probabilities.
/// </summary>
/// <param name="times">Equal answers in a row that suffice, from 1.</param>
public sealed class StableAnswer(int times)
{
    private string? _last;
    private int _run;

    /// <summary>Adds the answer of a probe and says whether it is stable now.</summary>
    /// <param name="answer">The normalised answer; null = the probe gave none, which starts over.</param>
    public bool Settles(string? answer)
    {
        _run = answer is null ? 0 : VoteTally.Same(answer, _last) ? _run + 1 : 1;
        _last = answer;
        return _run >= times;
    }

    /// <summary>Whether a text ends a step of reasoning: a sentence or a line. A period within a number may look like one; a probe there costs tokens, not correctness.</summary>
    /// <param name="text">The text of the reasoning so far, or its last piece.</param>
    public static bool EndsStep(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        ReadOnlySpan<char> end = text.AsSpan().TrimEnd(' ');
        return !end.IsEmpty && end[^1] is '.' or '!' or '?' or '\n' or '。';
    }
}
