using ModelSdk.Training;

namespace ModelSdk.Compiler.Evaluation;

/// <summary>Reads a copy of a data file as if it were the original: errors name the user's file.</summary>
internal static class DataFile
{
    /// <summary>All examples of a JSONL file.</summary>
    /// <param name="path">The file to read.</param>
    /// <param name="shownPath">The file to name.</param>
    public static IReadOnlyList<TrainingExample> Read(string path, string shownPath)
    {
        try
        {
            return TrainingData.Read(path);
        }
        catch (TrainingException exception) when (path != shownPath)
        {
            throw new TrainingException(exception.Code, exception.Message.Replace(path, shownPath, StringComparison.Ordinal), shownPath, exception.Line, exception);
        }
    }
}
