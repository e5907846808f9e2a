using System.Text.Json.Serialization;

namespace ModelSdk.Runtime.Bundles;

/// <summary>Compiled JSON contracts of model.json. Unknown properties are refused: a reader that skipped them would not cover them by the digest.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    AllowDuplicateProperties = false,
    MaxDepth = 16)]
[JsonSerializable(typeof(BundleManifest))]
[JsonSerializable(typeof(SortedDictionary<string, BundleFile>))]
[JsonSerializable(typeof(SortedDictionary<string, BundleMeasurement>))]
internal sealed partial class BundleJson : JsonSerializerContext;

/// <summary>Reads the format version alone, so that a newer bundle gives a version error and not one about its new properties.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, MaxDepth = 16)]
[JsonSerializable(typeof(BundleVersion))]
internal sealed partial class BundleVersionJson : JsonSerializerContext;

/// <summary>The one property that every format version has.</summary>
internal sealed record BundleVersion(int? FormatVersion);
