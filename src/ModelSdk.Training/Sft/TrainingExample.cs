using ModelSdk.Runtime.Text;

namespace ModelSdk.Training;

/// <summary>One line of a data file.</summary>
/// <param name="Turns">The conversation, at least one turn.</param>
/// <param name="Answer">Expected final answer, as text; null where the line has none.</param>
/// <param name="Line">Line of the file, 1-based.</param>
/// <param name="Mode">Mode that should answer, for the switcher: "base" or an adapter's name; null where the line has none.</param>
public sealed record TrainingExample(IReadOnlyList<ChatTurn> Turns, string? Answer, int Line, string? Mode = null);
