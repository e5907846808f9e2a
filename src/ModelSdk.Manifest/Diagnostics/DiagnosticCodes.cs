namespace ModelSdk.Manifest;

/// <summary>
/// All diagnostic codes, one meaning each, whether a build task, the compiler, the generator or a running client
/// reports them. A code is a constant in one of the parts of this class, a title in the list beside it, and a section
/// in docs/diagnostics.md (a test checks that the three agree).
/// <list type="table">
/// <item><term>MDL1xxx</term><description>manifest and lock file</description></item>
/// <item><term>MDL2xxx</term><description>formats of base models and tokenizers</description></item>
/// <item><term>MDL3xxx</term><description>data and training</description></item>
/// <item><term>MDL4xxx</term><description>export and numerics</description></item>
/// <item><term>MDL5xxx</term><description>store, bundle and build</description></item>
/// <item><term>MDL6xxx</term><description>client and generator</description></item>
/// </list>
/// </summary>
public static partial class DiagnosticCodes
{
    /// <summary>The page that explains every code.</summary>
    public const string DocumentationPage = "docs/diagnostics.md";

    /// <summary>Every code, by part.</summary>
    public static IReadOnlyList<DiagnosticInfo> All { get; } =
    [
        .. ManifestCodes(),
        .. FormatCodes(),
        .. TrainingCodes(),
        .. ExportCodes(),
        .. BuildCodes(),
        .. RuntimeCodes(),
        .. ClientCodes(),
    ];

    /// <summary>Where <paramref name="code"/> is explained.</summary>
    public static string HelpLink(string code) => DocumentationPage + "#" + code.ToLowerInvariant();
}
