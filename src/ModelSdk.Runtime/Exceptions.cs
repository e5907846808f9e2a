using ModelSdk.Manifest;

namespace ModelSdk.Runtime;

/// <summary>A bundle is missing, damaged, tampered with, of another version, or not the one the client was compiled for.</summary>
public sealed class BundleException : ModelSdkException
{
    /// <summary>Creates the error.</summary>
    /// <param name="code">Diagnostic code of the range MDL51xx.</param>
    /// <param name="message">What is wrong and what to do.</param>
    /// <param name="path">The file or folder that is wrong.</param>
    /// <param name="innerException">The cause, where there is one.</param>
    public BundleException(string code, string message, string path, Exception? innerException = null)
        : base(code, $"{message} (bundle: {path})", innerException)
    {
        Path = path;
    }

    /// <summary>The file or folder that is wrong.</summary>
    public string Path { get; }
}

/// <summary>The prompt leaves no room for an answer in the model's context.</summary>
public sealed class PromptTooLongException : ModelSdkException
{
    /// <summary>Creates the error.</summary>
    /// <param name="promptTokens">Tokens of the rendered prompt.</param>
    /// <param name="reservedTokens">Tokens that must stay free for the answer.</param>
    /// <param name="contextTokens">Tokens that the model's KV cache holds.</param>
    public PromptTooLongException(int promptTokens, int reservedTokens, int contextTokens)
        : base(
            DiagnosticCodes.PromptTooLong,
            $"The prompt has {promptTokens} tokens and the answer needs at least {reservedTokens}, but the model's context holds {contextTokens}. "
            + "Shorten the prompt (or the conversation), or compile the model with a larger \"context\".")
    {
        PromptTokens = promptTokens;
        ContextTokens = contextTokens;
    }

    /// <summary>Tokens of the rendered prompt.</summary>
    public int PromptTokens { get; }

    /// <summary>Tokens that the model's KV cache holds.</summary>
    public int ContextTokens { get; }
}

/// <summary>The mode asked for is neither "base" nor an adapter of the bundle.</summary>
public sealed class UnknownAdapterException : ModelSdkException
{
    /// <summary>Creates the error.</summary>
    /// <param name="mode">The mode that was asked for.</param>
    /// <param name="known">The modes that the bundle has.</param>
    public UnknownAdapterException(string mode, IEnumerable<string> known)
        : base(
            DiagnosticCodes.AdapterUnknown,
            $"The model has no adapter \"{mode}\"; its modes are: {string.Join(", ", known)}. Use one of these, or add the adapter to the model's manifest and build again.")
    {
        Mode = mode;
    }

    /// <summary>The mode that was asked for.</summary>
    public string Mode { get; }
}

/// <summary>The model's answer is not of the type that was asked for.</summary>
public sealed class AnswerFormatException : ModelSdkException
{
    /// <summary>Creates the error.</summary>
    /// <param name="expected">What was expected, e.g. "an integer".</param>
    /// <param name="text">The answer's text.</param>
    public AnswerFormatException(string expected, string text)
        : base(
            DiagnosticCodes.AnswerFormat,
            $"The model's answer is not {expected}; it reads \"{Shorten(text)}\". Ask again, use a larger budget, or read the answer as text.")
    {
        Text = text;
    }

    /// <summary>The answer's text as the model wrote it.</summary>
    public string Text { get; }

    private static string Shorten(string text) => text.Length <= 200 ? text : string.Concat(text.AsSpan(0, 200), "…");
}

/// <summary>A request contradicts itself or a value of it is out of range.</summary>
public sealed class InvalidRequestException : ModelSdkException
{
    /// <summary>Creates the error.</summary>
    /// <param name="message">Which value is wrong and what is allowed.</param>
    public InvalidRequestException(string message)
        : base(DiagnosticCodes.RequestInvalid, message)
    {
    }
}

/// <summary>The model computed logits that are not numbers.</summary>
public sealed class InvalidLogitsException : ModelSdkException
{
    /// <summary>Creates the error.</summary>
    /// <param name="mode">The mode whose graph ran.</param>
    /// <param name="position">Index of the token whose successor was computed.</param>
    public InvalidLogitsException(string mode, int position)
        : base(
            DiagnosticCodes.LogitsInvalid,
            $"The graph of mode \"{mode}\" computed logits that are not numbers after token {position}. The weights are damaged or overflow; compile the model again and check its base checkpoint.")
    {
    }
}
