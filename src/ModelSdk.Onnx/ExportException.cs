namespace ModelSdk.Onnx;

/// <summary>Weights cannot be quantized, an adapter does not fit, or what was exported does not compute what it should.</summary>
public sealed class ExportException : ModelSdkException
{
    /// <summary>Creates the error.</summary>
    /// <param name="code">Diagnostic code of the range MDL4xxx.</param>
    /// <param name="message">What happened, why, and what to do; names the tensor or file.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    public ExportException(string code, string message, Exception? innerException = null)
        : base(code, message, innerException)
    {
    }
}
