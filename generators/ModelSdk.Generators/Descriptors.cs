using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;
using ModelSdk.Manifest;

namespace ModelSdk.Generators;

/// <summary>The diagnostics that the generator reports, as Roslyn wants them declared.</summary>
internal static class Descriptors
{
    private const string Category = "ModelSdk";

    private static readonly DiagnosticDescriptor InvalidJson = new(
        DiagnosticCodes.InvalidJson, "The file is not valid JSON", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1001");

    private static readonly DiagnosticDescriptor FileTooLarge = new(
        DiagnosticCodes.FileTooLarge, "The file is too large", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1002");

    private static readonly DiagnosticDescriptor NestedTooDeep = new(
        DiagnosticCodes.NestedTooDeep, "The JSON is nested too deep", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1003");

    private static readonly DiagnosticDescriptor DuplicateProperty = new(
        DiagnosticCodes.DuplicateProperty, "A property is given twice", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1004");

    private static readonly DiagnosticDescriptor UnknownProperty = new(
        DiagnosticCodes.UnknownProperty, "Unknown property", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1005");

    private static readonly DiagnosticDescriptor WrongType = new(
        DiagnosticCodes.WrongType, "A value has the wrong type", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1006");

    private static readonly DiagnosticDescriptor MissingProperty = new(
        DiagnosticCodes.MissingProperty, "A required property is missing", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1007");

    private static readonly DiagnosticDescriptor OutOfRange = new(
        DiagnosticCodes.OutOfRange, "A number is out of range", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1008");

    private static readonly DiagnosticDescriptor InvalidValue = new(
        DiagnosticCodes.InvalidValue, "A value is not one of those allowed", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1009");

    private static readonly DiagnosticDescriptor InvalidName = new(
        DiagnosticCodes.InvalidName, "A name cannot be used", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1010");

    private static readonly DiagnosticDescriptor NameCollision = new(
        DiagnosticCodes.NameCollision, "Two names become the same identifier", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1011");

    private static readonly DiagnosticDescriptor ReservedName = new(
        DiagnosticCodes.ReservedName, "A name is reserved", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1012");

    private static readonly DiagnosticDescriptor BudgetExceedsContext = new(
        DiagnosticCodes.BudgetExceedsContext, "A token budget does not fit the context", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1013");

    private static readonly DiagnosticDescriptor UnknownDefaultMode = new(
        DiagnosticCodes.UnknownDefaultMode, "The default mode does not exist", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1014");

    private static readonly DiagnosticDescriptor InvalidTemplate = new(
        DiagnosticCodes.InvalidTemplate, "A template lacks its placeholder", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1015");

    private static readonly DiagnosticDescriptor ConflictingProperties = new(
        DiagnosticCodes.ConflictingProperties, "Two properties exclude each other", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1016");

    private static readonly DiagnosticDescriptor InvalidHubReference = new(
        DiagnosticCodes.InvalidHubReference, "A hub reference is not valid", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1017");

    private static readonly DiagnosticDescriptor RequiresSetting = new(
        DiagnosticCodes.RequiresSetting, "A setting needs another that is off", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1019");

    private static readonly DiagnosticDescriptor FileUnreadable = new(
        DiagnosticCodes.FileUnreadable, "A file cannot be read", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1022");

    private static readonly DiagnosticDescriptor InvalidLock = new(
        DiagnosticCodes.InvalidLock, "The lock file cannot be used", "{0}", Category, DiagnosticSeverity.Warning, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1030");

    private static readonly DiagnosticDescriptor BitsBelowFormat = new(
        DiagnosticCodes.BitsBelowFormat, "Fewer bits per weight than any format takes", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl1031");

    private static readonly DiagnosticDescriptor DuplicateClient = new(
        DiagnosticCodes.DuplicateClient, "Two manifests generate the same client", "{0}", Category, DiagnosticSeverity.Error, isEnabledByDefault: true, helpLinkUri: DiagnosticCodes.DocumentationPage + "#mdl6101");

    private static readonly Dictionary<string, DiagnosticDescriptor> ByCode = new DiagnosticDescriptor[]
    {
        InvalidJson,
        FileTooLarge,
        NestedTooDeep,
        DuplicateProperty,
        UnknownProperty,
        WrongType,
        MissingProperty,
        OutOfRange,
        InvalidValue,
        InvalidName,
        NameCollision,
        ReservedName,
        BudgetExceedsContext,
        UnknownDefaultMode,
        InvalidTemplate,
        ConflictingProperties,
        InvalidHubReference,
        RequiresSetting,
        FileUnreadable,
        InvalidLock,
        BitsBelowFormat,
        DuplicateClient,
    }.ToDictionary(d => d.Id);

    /// <summary>Every descriptor, for tests.</summary>
    public static IEnumerable<DiagnosticDescriptor> All => ByCode.Values;

    /// <summary>A diagnostic of the compiler at its place in the JSON file.</summary>
    public static Diagnostic ToDiagnostic(ManifestDiagnostic diagnostic)
    {
        DiagnosticDescriptor descriptor = ByCode[diagnostic.Code];
        var location = Location.Create(
            diagnostic.Path,
            new TextSpan(diagnostic.Start, diagnostic.Length),
            new LinePositionSpan(
                new LinePosition(diagnostic.Line - 1, diagnostic.Column - 1),
                new LinePosition(diagnostic.EndLine - 1, diagnostic.EndColumn - 1)));
        DiagnosticSeverity severity = diagnostic.Severity switch
        {
            ManifestSeverity.Error => DiagnosticSeverity.Error,
            ManifestSeverity.Warning => DiagnosticSeverity.Warning,
            _ => DiagnosticSeverity.Info,
        };
        return Diagnostic.Create(descriptor, location, severity, additionalLocations: null, properties: null, diagnostic.Message);
    }
}
