namespace ModelSdk;

/// <summary>A model file (config.json, safetensors, tokenizer.json, ...) is missing, damaged, contradictory or uses a feature that is not supported.</summary>
public sealed class ModelFormatException : ModelSdkException
{
    /// <summary>Creates the error.</summary>
    /// <param name="code">Diagnostic code of the range MDL2xxx.</param>
    /// <param name="message">What is wrong with the file and what to do; the path is appended.</param>
    /// <param name="path">The file that is wrong.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    public ModelFormatException(string code, string message, string path, Exception? innerException = null)
        : base(code, $"{message} (file: {path})", innerException)
    {
        Path = path;
    }

    /// <summary>The file that is wrong.</summary>
    public string Path { get; }
}
