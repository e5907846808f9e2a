namespace ModelSdk.Manifest;

/// <summary>Where the base model is: a folder, or an id on the hub with a pinned revision; exactly one of the two.</summary>
public sealed record BaseReference
{
    /// <summary>A folder in Hugging Face layout, as written: absolute, or relative to the manifest's folder.</summary>
    public string? Folder { get; init; }

    /// <summary>An id such as <c>Qwen/Qwen2.5-0.5B-Instruct</c>.</summary>
    public string? Hub { get; init; }

    /// <summary>The commit of <see cref="Hub"/>, 40 hexadecimal digits: a branch name would not pin the weights.</summary>
    public string? Revision { get; init; }
}
