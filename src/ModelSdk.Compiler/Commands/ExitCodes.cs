namespace ModelSdk.Compiler.Commands;

/// <summary>Exit codes of modelc.</summary>
internal static class ExitCodes
{
    /// <summary>Done.</summary>
    public const int Ok = 0;

    /// <summary>Errors were reported.</summary>
    public const int Failed = 1;

    /// <summary>The command line was wrong.</summary>
    public const int Usage = 2;

    /// <summary>Cancelled by Ctrl+C, SIGTERM or the end of standard input; long stages left a checkpoint.</summary>
    public const int Cancelled = 130;
}
