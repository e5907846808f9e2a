namespace ModelSdk.Training;

/// <summary>Training data, settings or the training engine are at fault. Codes MDL3xxx.</summary>
public sealed class TrainingException : ModelSdkException
{
    /// <summary>Creates the error.</summary>
    /// <param name="code">Diagnostic code MDL3xxx.</param>
    /// <param name="message">What happened, why, and what to do.</param>
    /// <param name="path">File at fault, where there is one.</param>
    /// <param name="line">Line of that file, 1-based; 0 where the whole file is meant.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    public TrainingException(string code, string message, string? path = null, int line = 0, Exception? innerException = null)
        : base(code, message, innerException)
    {
        Path = path;
        Line = line;
    }

    /// <summary>File at fault, where there is one.</summary>
    public string? Path { get; }

    /// <summary>Line of <see cref="Path"/>, 1-based; 0 where the whole file is meant.</summary>
    public int Line { get; }
}
