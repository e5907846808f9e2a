namespace ModelSdk.Generators;

/// <summary>Names of the pipeline's steps, in their order; tests look at why each ran.</summary>
internal static class TrackingNames
{
    /// <summary>Path and text of each manifest.</summary>
    public const string ManifestTexts = nameof(ManifestTexts);

    /// <summary>Each manifest, parsed.</summary>
    public const string ParsedManifests = nameof(ParsedManifests);

    /// <summary>Each lock file, parsed.</summary>
    public const string ParsedLocks = nameof(ParsedLocks);

    /// <summary>The project's root namespace.</summary>
    public const string RootNamespace = nameof(RootNamespace);

    /// <summary>All manifests together, to find those that generate the same client.</summary>
    public const string ResolvedManifests = nameof(ResolvedManifests);

    /// <summary>What each generated file is made of.</summary>
    public const string ClientSources = nameof(ClientSources);

    /// <summary>All findings.</summary>
    public const string Diagnostics = nameof(Diagnostics);
}
