namespace ModelSdk;

/// <summary>Base of every error that ModelSdk raises on purpose. The message says what happened, why, and what to do.</summary>
public abstract class ModelSdkException : Exception
{
    /// <summary>Creates the error.</summary>
    /// <param name="code">Diagnostic code, "MDL" and four digits; docs/diagnostics.md explains each.</param>
    /// <param name="message">What happened, why, and what to do.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    protected ModelSdkException(string code, string message, Exception? innerException = null)
        : base(message, innerException)
    {
        Code = code;
    }

    /// <summary>Diagnostic code, "MDL" and four digits. One code means the same from compiler, build task, generator and client.</summary>
    public string Code { get; }
}
